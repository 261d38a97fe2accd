# What all pages share: frame, forms, times, and the page of an error.

shell-error = Error:
shell-skip = Skip to the content
shell-home = Doorward, home

# Of the script: what shows a typed password, and what a form says while it waits.
script-show = Show
    .label = Show { $field }
script-wait = One moment, please

sentence = { $text }.

nav-account = Account
nav-dashboard = Dashboard
nav-sign-out = Sign out
nav-administration = Administration
nav-users = Users
nav-invitations = Invitations
nav-sessions = Sessions
nav-clients = Clients
nav-audit = Audit log
nav-flows = Requests
nav-pages = Pages
nav-next = Next page

# The names of fields, as forms and errors have them.
field-address = Address
field-after = After
field-current_password = Current password
field-device = Device
field-disabled = Disabled
field-email = Email
field-id = Request id
field-invite = Invite
field-limit = Limit
field-mode = Mode
field-name = Name
field-new_password = New password
field-password = Password
field-return_to = Return to
field-role = Role
field-route = Route
field-search = Search
field-session = Session
field-token = Token
field-user = User
field-verdict = Verdict

field-optional = (optional)
field-problem = { $field } { $problem }
trouble-fields = Please look at this again:
password-hint = At least 8 characters. A few words in a row are best.
contact-unknown = whoever runs this site

device-here = This device
device-active = Active { $time }
device-since = since { $time }
sign-out-everywhere = Sign out everywhere

day = { $day } { $month ->
    [1] January
    [2] February
    [3] March
    [4] April
    [5] May
    [6] June
    [7] July
    [8] August
    [9] September
    [10] October
    [11] November
   *[12] December
} { $year }
moment = { day }, { $hour }:{ $minute } UTC
ago-now = just now
ago-minutes = { $count ->
    [one] 1 minute ago
   *[other] { $count } minutes ago
}
ago-hours = { $count ->
    [one] 1 hour ago
   *[other] { $count } hours ago
}
ago-days = { $count ->
    [one] 1 day ago
   *[other] { $count } days ago
}
ago-day = on { day }
wait-seconds = { $count ->
    [one] 1 second
   *[other] { $count } seconds
}
wait-minutes = { $count ->
    [one] 1 minute
   *[other] { $count } minutes
}

# In development mode, on the page of each refusal.
why-checked = What was checked
why-found = What was found
why-do = What to do
why-show = Show me why

title-403 = This door stays shut
title-404 = No such page
title-405 = Not this way
title-409 = That can’t be done now
title-413 = That is too large
title-429 = One moment, please
title-500 = We’ll be right back
title-other = That didn’t work
title-two-sign-ins = Two sign-ins at once

error-wait = { $text }. Wait { $wait } before you do.
error-cross-site = If you meant to do this, go to the page here and do it from there.
error-open-from-here = If you followed a link to it, open it from here.
error-open = Open it
error-link = Each link works once, and not for long. To get a new one, ask { $contact }.
error-two-sign-ins = Another site of this domain, or an earlier setting, may have left one of them. Nobody can tell which you meant, so sign out of both and sign in again.
error-sign-out-both = Sign out of both
error-cookies = In the browser’s settings, under privacy, delete the cookies and site data of this site. Then sign in again.
error-sign-in = Sign in
error-dashboard = Go to your dashboard
error-report = If you report this, say { $code }, request { $request_id }.
