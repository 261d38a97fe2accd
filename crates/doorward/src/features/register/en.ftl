register-title = Create your account
    .closed = No new accounts
    .invite = By invitation
register-closed = Registration is closed here. If you need an account, ask { $contact }.
register-invite = You need an invitation to create an account here. Open the link in yours, or ask { $contact } for one.
register-create = Create account
register-known = Have an account? { $sign_in }
    .sign-in = Sign in
