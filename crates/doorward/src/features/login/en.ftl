login-title = Sign in
login-go = Go on
login-forgotten = Forgot your password?
login-register = Create an account
login-invited = New here? You need an invitation.
login-two = This browser holds two different sign-ins. Sign in again: that ends both.
login-already = You are signed in already. Go on, or sign in again.
login-came-back = You are signed in, but the application sent you back at once. Go on, or ask those who run it: its requests may not carry your sign-in.
