reset-forgotten = Forgot your password?
reset-ask = Ask { $contact } for a reset link.
reset-how = The link opens a page where you choose a new password. It works once, within an hour, on any device; you are then signed out everywhere else.
reset-remembered = Remembered it? { $sign_in }
    .sign-in = Sign in

reset-title = Choose a new password
reset-signs-out = This signs you out on all devices.
reset-set = Set password

password-reset = The new password is set. Sign in with it.
action-password_reset = Password reset
