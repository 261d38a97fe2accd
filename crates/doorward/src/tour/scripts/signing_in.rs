//! Getting a credential, using it and renewing it.

use super::Ask::*;
use super::Before::*;
use super::Who::*;
use super::{Break, Scene, Script, nothing, sends};

pub(super) const REGISTER: Script = Script {
    name: "register",
    title: "Register",
    about: "A new account, and its first page. Watch where the password goes, and what the browser keeps.",
    breaks: Break::ALL,
    scenes: &[
        Scene {
            name: "register",
            title: "Ada registers",
            meanwhile: "",
            before: &[],
            jwt: sends(
                Laptop,
                Register,
                "Doorward keeps only a slow hash of the password. It signs an access token, and puts it into a cookie that no script can read.",
            ),
            session: sends(
                Laptop,
                Register,
                "Doorward keeps only a slow hash of the password. It makes a random session id, and the database keeps only the hash of that.",
            ),
        },
        WELCOME,
    ],
};

pub(super) const LOGIN: Script = Script {
    name: "login",
    title: "Login in each mode",
    about: "A browser keeps a cookie, a program keeps a token. A wrong password gets the same answer as an unknown address.",
    breaks: Break::ALL,
    scenes: &[
        Scene {
            name: "wrong",
            title: "A wrong password",
            meanwhile: "",
            before: &[Sent(Program, Register)],
            jwt: sends(
                Laptop,
                WrongPassword,
                "The guess is counted before the slow comparison. The answer does not say whether the account exists.",
            ),
            session: sends(
                Laptop,
                WrongPassword,
                "The mode makes no difference here: the password is checked in the same way, and the limit is the same.",
            ),
        },
        Scene {
            name: "browser",
            title: "A browser signs in",
            meanwhile: "",
            before: &[],
            jwt: sends(
                Laptop,
                Login,
                "Mode cookie: the access token and the refresh token come in two cookies. A script that was smuggled into a page cannot read them.",
            ),
            session: sends(
                Laptop,
                Login,
                "Mode session: a random session id comes in one cookie. It means nothing by itself, so there is nothing in it to forge.",
            ),
        },
        Scene {
            name: "program",
            title: "A program signs in",
            meanwhile: "",
            before: &[],
            jwt: sends(
                Program,
                Login,
                "Mode bearer: both tokens come in the body, and no cookie is set. The program sends the access token in a header.",
            ),
            session: nothing("A session id travels in a cookie alone. Programs take the tokens on the left."),
        },
        WELCOME,
    ],
};

pub(super) const PROTECTED: Script = Script {
    name: "protected",
    title: "A protected request",
    about: "The same page is requested without a credential, by header, by cookie and by session id. Compare who has to look something up.",
    breaks: Break::ALL,
    scenes: &[
        Scene {
            name: "without",
            title: "Without a credential",
            meanwhile: "",
            before: &[Sent(Program, Register), Sent(Program, Login)],
            jwt: sends(
                Laptop,
                Welcome,
                "Nothing says who sent this, so the request ends at the guard. No code of the application runs.",
            ),
            session: sends(
                Laptop,
                Welcome,
                "The same answer: without a cookie there is no session to look for.",
            ),
        },
        Scene {
            name: "header",
            title: "By header",
            meanwhile: "",
            before: &[],
            jwt: sends(
                Program,
                Welcome,
                "The program sends the access token itself. Another site's page cannot add this header, so it cannot act in Ada's name.",
            ),
            session: nothing(
                "No header carries a session id: a cookie that no script can read is the only place for it.",
            ),
        },
        Scene {
            name: "cookie",
            title: "By cookie",
            meanwhile: "",
            before: &[Sent(Laptop, Login)],
            jwt: sends(
                Laptop,
                Welcome,
                "The browser sends the cookie by itself. Signature and claims say who this is, so nothing is looked up except the revocations in memory.",
            ),
            session: sends(
                Laptop,
                Welcome,
                "The browser sends the session id by itself. It says nothing, so it is hashed and looked up: in memory, or once in the database.",
            ),
        },
    ],
};

pub(super) const EXPIRY: Script = Script {
    name: "expiry",
    title: "An access token expires",
    about: "An access token lives for 15 minutes, so that a stolen one is of little use. A session id lives for as long as it is used.",
    breaks: &[],
    scenes: &[
        Scene {
            name: "before",
            title: "Right after the sign-in",
            meanwhile: "",
            before: &[Sent(Laptop, Register)],
            jwt: sends(
                Laptop,
                Welcome,
                "The token says when it expires, and the guard compares that with its own clock.",
            ),
            session: sends(
                Laptop,
                Welcome,
                "Nothing in the session id says when it ends. The server knows that.",
            ),
        },
        Scene {
            name: "after",
            title: "The same request, too late",
            meanwhile: "16 minutes pass",
            before: &[Minutes(16)],
            jwt: sends(
                Laptop,
                Welcome,
                "The signature still holds, and the time does not. The answer says so, and the client knows that it must refresh.",
            ),
            session: sends(
                Laptop,
                Welcome,
                "The session lives on, because each use moves its end. It ends after a week without use, and after 90 days at the latest.",
            ),
        },
    ],
};

pub(super) const REFRESH: Script = Script {
    name: "refresh",
    title: "Refresh",
    about: "The access token has expired. The refresh token gets a new one, and is replaced itself.",
    breaks: Break::ALL,
    scenes: &[
        Scene {
            name: "refresh",
            title: "A new access token",
            meanwhile: "16 minutes pass",
            before: &[Sent(Laptop, Register), Minutes(16)],
            jwt: sends(
                Laptop,
                Refresh,
                "The refresh token is good for one use. The database is asked here, so a session that has ended gets nothing more.",
            ),
            session: nothing("A session id needs no refresh: each request with it is looked up anyway."),
        },
        WELCOME,
    ],
};

/// The first page after a sign-in: what can be broken afterwards.
const WELCOME: Scene = Scene {
    name: "welcome",
    title: "Ada's next page",
    meanwhile: "",
    before: &[],
    jwt: sends(
        Laptop,
        Welcome,
        "The browser sends the cookie by itself. Signature and claims say who this is: nothing is looked up except the revocations in memory.",
    ),
    session: sends(
        Laptop,
        Welcome,
        "The browser sends the session id by itself. It is hashed and looked up, and the server knows whose it is.",
    ),
};
