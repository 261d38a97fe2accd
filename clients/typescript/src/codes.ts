// Made by: UPDATE=1 cargo test -p doorward-cli reference

/** The stable `code` of each refusal. */
export type Code =
  /** 400: Too many cookies of one name: delete the cookies of this site. Delete the cookies of this site in the browser. */
  | 'too_many_cookies'
  /** 400: The request cannot be read. Fix the request: the message says where. */
  | 'malformed'
  /** 400: This link is unknown, used or too old: ask for a new one. Ask for a new link. */
  | 'link_invalid'
  /** 400: Cookies need https here: open this site with https. Use https, or bearer mode. */
  | 'https_required'
  /** 401: No token provided. Sign in, and send the access token or the cookies. */
  | 'token_missing'
  /** 401: Invalid token. Drop the token and sign in. If it should be good, compare issuer and keys. */
  | 'token_invalid'
  /** 401: jwt expired. Refresh, and repeat the request with the new token. */
  | 'token_expired'
  /** 401: Token is out of date: refresh it. Refresh, and repeat the request with the new token. */
  | 'token_stale'
  /** 401: This session has ended. Sign in again. */
  | 'session_ended'
  /** 401: This session has expired: sign in again. Sign in again. */
  | 'session_expired'
  /** 401: Your browser holds two different sign-ins: sign out of both. Sign out by `POST /logout`, which ends both sessions, and sign in again. */
  | 'ambiguous_cookies'
  /** 401: Invalid email or password. Let the person try again. */
  | 'invalid_credentials'
  /** 401: This account needs a second factor to sign in. Ask for one of `factors`, and send it with the `handle`. If the list is empty, ask the operator for a newer server. */
  | 'second_factor_required'
  /** 401: Invalid refresh token: sign in again. Sign in again. */
  | 'refresh_invalid'
  /** 401: This refresh token was used before: sign in again. Sign in again. If nobody copied the token: keep the successor that each refresh gives. */
  | 'refresh_reused'
  /** 401: This is for registered clients, with their id and secret. Check id and secret; `doorward client create` makes new ones. */
  | 'invalid_client'
  /** 403: You are not allowed to do this. Ask an admin for a role that grants it. */
  | 'forbidden'
  /** 403: This request comes from another site and was refused. Call from the server's own origin, or list yours in `origins`. */
  | 'cross_site_request'
  /** 403: Registration is closed, or needs an invitation. Ask an admin for an invitation or an account. */
  | 'registration_closed'
  /** 403: This account is disabled. Ask an admin. */
  | 'user_disabled'
  /** 403: What the application says. Follow the message; it comes from your application's hook. */
  | 'refused_by_application'
  /** 403: This needs your current password as a confirmation. Send `current_password` with the request; with cookies, `POST /confirm` once does for ten minutes. */
  | 'confirmation_required'
  /** 403: The current password is wrong. Ask for the current password again. */
  | 'wrong_password'
  /** 403: This is open in development mode only. Start the server with `--dev`, and open this on the same machine at the server's own address, without a proxy. */
  | 'development_only'
  /** 404: There is nothing here. Check the address and the id. */
  | 'not_found'
  /** 405: This address has no such method: it has GET, HEAD. Use a method in `Allow`. */
  | 'method_not_allowed'
  /** 408: The request took too long to arrive. Send the request again, and faster. */
  | 'timeout'
  /** 409: The page with this form shows another account than the one that is signed in now, so nothing was done. Open the page again, and see whose account it shows. */
  | 'other_account'
  /** 409: This email address is already registered. Sign in with it, or use another address. */
  | 'email_taken'
  /** 409: This is the last admin: give the role to somebody else first. Make somebody else an admin first. */
  | 'last_admin'
  /** 413: The request body is too large: at most 65536 bytes. Send less; the limit is `http.body_limit`. */
  | 'too_large'
  /** 415: The body has no Content-Type: send JSON in UTF-8, with the header Content-Type: application/json. Send JSON as application/json, in UTF-8, without compression. */
  | 'unsupported_media_type'
  /** 421: This is a development server: it answers only as localhost, 127.0.0.1 or [::1]. Use `http://localhost` with the server's port. For any other name, start the server without `--dev`. */
  | 'wrong_host'
  /** 422: Some fields are missing or wrong. Fix the `fields`: each has its own message. */
  | 'invalid_input'
  /** 429: Too many attempts: try again in 30 seconds. Wait as long as `Retry-After` says. */
  | 'too_many_attempts'
  /** 503: The server's disk is nearly full, so nothing new is stored: try again later. Try again after `Retry-After`. Signing out, refreshing and a new password still work. */
  | 'no_room'
  /** 503: Too busy at the moment: try again. Keep your credentials, and try again after `Retry-After`. */
  | 'overloaded'
  /** 503: Temporarily unavailable: try again. Keep your credentials, and try again after `Retry-After`. */
  | 'unavailable'
