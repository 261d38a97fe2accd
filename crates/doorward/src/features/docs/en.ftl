# The frame of the API's document. What it says of each route comes from the routes, as in openapi.json: in English.

docs-title = The API
docs-what = Every address of this server, made from what it serves. Programs read the same as { $openapi }.
docs-nav = API
docs-how = How to ask
    .credential = JSON goes in and comes out. Send the access token as { $header }, or let a browser keep the cookies of its sign-in.
    .refusal = A refusal is { $type } with a stable { $code }, and a { $message } for people. A 401 says that you are not signed in, a 403 that you may not, a 503 that it is our fault: keep what you hold, and try again.
docs-routes = Routes
docs-for = For { $who }.
docs-reads = It reads
docs-name = name
docs-in = in
docs-meaning = what
docs-curl = Example for curl
docs-answers = It answers
docs-status = status
docs-answer = Example of an answer
