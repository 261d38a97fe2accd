# The start page of a server without users.

welcome-title = Doorward is running
welcome-what = This server registers people, signs them in, and keeps their sessions and tokens for your applications. Nobody has an account yet.
welcome-admin = Make the first admin
welcome-admin-how = In a terminal on the server’s machine:
welcome-command = Command that makes an admin
welcome-admin-only = It asks for a password.
welcome-registered = Who registers here becomes a user, never an admin.
welcome-register = Register as a user
welcome-sign-in = Sign in
welcome-see = See how it works
welcome-tour-what = The tour plays register, login, refresh, theft and logout step by step, with tokens and with sessions, on a server of its own.
welcome-tour = Take the tour
welcome-flow = Every request to this server shows itself at { $flow }. A token or a secret that you paste at { $inspect } is explained.
welcome-use = Use it
welcome-docs = The API is described at { $docs }, for programs in { $openapi }.
