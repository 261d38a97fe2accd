profile-title = Your account
profile-name-change = Change name
profile-email-new = New email
profile-email-change = Change email
profile-password-now = Change it
profile-password-hint = At least 8 characters. All other devices are signed out.
profile-password-change = Change password
profile-delete = Delete account
    .what = Your account and all its sessions go at once, for good.
    .button = Delete my account
profile-since = Account since { $day }

name-changed = Name changed.
email-changed = Email changed.
password-changed = Password changed. All other devices are signed out.
account-deleted = The account is deleted.
