# What may be wrong with a request. The first ones stand behind the name of a field: "Email must have one @".

value-required = is required
value-no-text = must be a text
value-no-bool = must be true or false
value-one-of = must be one of { $names }

email-too-long = must have at most { $most } bytes, and at most { $most_before } before the @
email-at = must have one @, like ada@example.com
email-local-part = must have only letters, digits, single dots and !#$%&'*+-/=?^_`{"{"}|{"}"}~ before the @
email-look-alike = has letters before the @ that look like others: type it with the letters of one alphabet
email-domain = must have a domain after the @, like ada@example.com
email-needs-password = is needed to change the email

name-empty = must have at least one visible character
name-too-long = must have at most { $most } characters
name-forbidden = must have no line breaks, control characters or marks that turn the direction of writing

password-too-long = must have at most { $most } bytes
password-too-short = must have at least { $least } characters
password-common = is one of the most common passwords: choose another
password-name = must not be your name
password-email = must not be your email address or a part of it

mode-unknown = must be bearer, cookie or session
mode-in-form = must be cookie or session in a form: bearer tokens are handed to programs
mode-not-allowed = is not allowed here; allowed: { $modes }
mode-cross-site = must be bearer: the page that asks is of another site, and browsers keep no cookies of ours for it

role-form = must begin with a lower-case letter and have 1 to { $most } of a-z, 0-9, _ and -
role-unknown = is unknown; there are { $roles }
role-no-name = is no role's name

search-form = must have at most { $most } bytes, without control characters
limit-range = must be 1 to { $most }
after-no-place = is no place in the list: take `next` of the page before
after-no-user = is no user's id
after-no-client = is no client's id
after-no-session = is no session's id
after-no-invitation = is no invitation's id
after-no-entry = is no entry's id
clients-full = cannot be registered: there are { $most } clients already
tokens-form = must be session secrets, { $most } at most, with one space between them

# The rest are sentences.

request-unreadable = The request cannot be read
address-unreadable = The address cannot be read
query-name-twice = The query has a name twice
body-broke-off = The body broke off
body-no-json = The body is not valid JSON (line { $line }, column { $column })
body-no-object = The body is JSON, but not an object with distinct names (line { $line }, column { $column })
form-no-utf8 = The form is not UTF-8
form-field-twice = The form has a field twice
preflight-headers = Access-Control-Request-Headers must have at most { $most } names of headers
refresh-one-token = Send one refresh token, in the body or in the cookie
confirm-by-cookie = A bearer token confirms nothing: send current_password with the request that needs it

development-off = This is open in development mode only
development-elsewhere = Development mode opens this to its own machine only, and the request came through a proxy, a tunnel or a network
development-cross-site = Development mode opens this to its own pages only, and a page of another address asked

registration-closed = Registration is closed
registration-by-invitation = Registration needs an invitation
registration-refused = Registration is closed, or needs an invitation
