# Pages that several features show.

home-welcome = Welcome { $name }!
home-signed-in = Signed in as { $email } { $role }

goes-to = Continue to { $name }, { $host }
goes-to-host = Continue to { $host }

confirm-title = Confirm it’s you
confirm-why = { $purpose } needs your password, since it can open or close an account. You won’t be asked again for ten minutes.
confirm-password = Your password
confirm-go = Go on
confirm-back = Go back without it

arrival-title = One moment
arrival-why = You come from another site.
arrival-go = Go on
arrival-hint = This page goes on by itself; press the button if it does not.
