//! The scripts of the tour: what is sent, by which client, and the sentences about it.

use serde::Serialize;

use super::Column;

/// One flow of the tour.
#[derive(Debug, Serialize)]
pub struct Script {
    /// Its name in URLs and on the command line.
    pub name: &'static str,
    /// Its title.
    pub title: &'static str,
    /// What one sees in it.
    pub about: &'static str,
    /// What happens, in its order.
    #[serde(skip)]
    pub scenes: &'static [Scene],
    /// What can be broken after it.
    pub breaks: &'static [Break],
}

/// One act of a script, in both columns.
#[derive(Debug, Serialize)]
pub struct Scene {
    /// Its name within the script.
    pub name: &'static str,
    /// Its title.
    pub title: &'static str,
    /// What happened since the scene before; may be empty.
    pub meanwhile: &'static str,
    #[serde(skip)]
    pub(super) before: &'static [Before],
    #[serde(skip)]
    pub(super) jwt: Part,
    #[serde(skip)]
    pub(super) session: Part,
}

/// What one column of a scene sends, and what is said about it.
#[derive(Debug, Serialize)]
pub struct Part {
    #[serde(skip)]
    pub(super) ask: Option<(Who, Ask)>,
    /// What happens, and why it is safe; or why there is no request.
    pub text: &'static str,
    /// What would go wrong with a plain JWT, whose end nobody looks up; may be empty.
    pub plain: &'static str,
    /// What Doorward does instead.
    pub ours: &'static str,
}

/// The clients of the tour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Who {
    /// Ada's browser.
    Laptop,
    /// The browser of Ada's phone.
    Phone,
    /// Somebody who copied what Ada's browser holds.
    Thief,
    /// A program of Ada, in bearer mode.
    Program,
}

/// What a client sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ask {
    Register,
    Login,
    WrongPassword,
    Welcome,
    Refresh,
    Logout,
    LogoutEverywhere,
    ListUsers,
}

/// What happens before a scene, without being drawn.
#[derive(Debug, Clone, Copy)]
pub(super) enum Before {
    /// A request.
    Sent(Who, Ask),
    /// So many minutes pass.
    Minutes(u64),
    /// The thief copies all credentials of the laptop.
    Copied,
    /// The thief's copy of the access token or session id is changed.
    Changed(Change),
}

/// A change to a credential.
#[derive(Debug, Clone, Copy)]
pub(super) enum Change {
    /// One character of the signature, or of the session id.
    Character,
    /// The role in the claims; of a session id another character.
    Role,
    /// No signature, and a header that says so; a session id that is made up.
    Unsigned,
}

/// What is broken after a script.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Break {
    /// One character of the credential is changed.
    Character,
    /// 16 minutes pass.
    Wait,
    /// The refresh token is used a second time.
    Twice,
    /// Ada logs out everywhere, on her phone.
    Phone,
}

impl Break {
    /// Every one.
    pub const ALL: &[Self] = &[Self::Character, Self::Wait, Self::Twice, Self::Phone];

    /// Its name in URLs and on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Character => "character",
            Self::Wait => "wait",
            Self::Twice => "twice",
            Self::Phone => "phone",
        }
    }

    /// The request before, and the same request after it was broken.
    pub const fn scenes(self) -> &'static [Scene] {
        match self {
            Self::Character => &CHARACTER,
            Self::Wait => &WAIT,
            Self::Twice => &TWICE,
            Self::Phone => &PHONE,
        }
    }
}

impl Scene {
    /// This column of it.
    pub(super) const fn part(&self, column: Column) -> &Part {
        match column {
            Column::Jwt => &self.jwt,
            Column::Session => &self.session,
        }
    }
}

const fn sends(who: Who, ask: Ask, text: &'static str) -> Part {
    Part { ask: Some((who, ask)), text, plain: "", ours: "" }
}

const fn nothing(text: &'static str) -> Part {
    Part { ask: None, text, plain: "", ours: "" }
}

const fn against_plain(part: Part, plain: &'static str, ours: &'static str) -> Part {
    Part { plain, ours, ..part }
}

use Ask::*;
use Before::*;
use Who::*;

/// Every flow of the tour.
pub const SCRIPTS: &[Script] = &[
    Script {
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
    },
    Script {
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
                session: nothing(
                    "A session id travels in a cookie alone. Programs take the tokens on the left.",
                ),
            },
            WELCOME,
        ],
    },
    Script {
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
    },
    Script {
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
    },
    Script {
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
    },
    Script {
        name: "stolen-refresh-token",
        title: "A refresh token is stolen",
        about: "A thief copies everything that Ada's browser holds. One use too many gives the theft away.",
        breaks: &[],
        scenes: &[
            Scene {
                name: "owner",
                title: "Ada goes on as ever",
                meanwhile: "A thief copies all cookies, and 16 minutes pass",
                before: &[Sent(Laptop, Register), Copied, Minutes(16)],
                jwt: sends(
                    Laptop,
                    Refresh,
                    "Ada's browser uses the refresh token and gets the next one. The thief's copy is used up now.",
                ),
                session: sends(
                    Laptop,
                    Welcome,
                    "Ada's browser sends its session id. Nothing is used up, and nothing changes.",
                ),
            },
            Scene {
                name: "thief",
                title: "The thief uses the copy",
                meanwhile: "2 minutes pass",
                before: &[Minutes(2)],
                jwt: sends(
                    Thief,
                    Refresh,
                    "The same token a second time: one of the two is a thief. Doorward cannot know which, so the session ends for both.",
                ),
                session: sends(
                    Thief,
                    Welcome,
                    "A copied session id looks like the original, so the thief gets in. That is why it is in a cookie that no script can read.",
                ),
            },
            Scene {
                name: "owner-again",
                title: "What Ada notices",
                meanwhile: "",
                before: &[],
                jwt: sends(
                    Laptop,
                    Welcome,
                    "Her session is over at once, although her token has not expired. She signs in again, and the audit log says why.",
                ),
                session: sends(
                    Laptop,
                    Logout,
                    "Ada sees a device that she does not know in her list, and logs out.",
                ),
            },
            Scene {
                name: "thief-again",
                title: "The thief tries again",
                meanwhile: "",
                before: &[],
                jwt: sends(
                    Thief,
                    Refresh,
                    "No token of an ended session opens anything again, whichever generation it is.",
                ),
                session: sends(
                    Thief,
                    Welcome,
                    "The copy ended with the original: both are the same session.",
                ),
            },
        ],
    },
    Script {
        name: "logout",
        title: "Logout",
        about: "Logging out ends the session. The question is what a copy of the credential can still do afterwards.",
        breaks: &[],
        scenes: &[
            Scene {
                name: "logout",
                title: "Ada logs out",
                meanwhile: "Somebody copied her cookies before",
                before: &[Sent(Laptop, Register), Copied],
                jwt: sends(
                    Laptop,
                    Logout,
                    "The session ends in the database, and memory knows it before the answer goes out. Then the cookies are deleted.",
                ),
                session: sends(
                    Laptop,
                    Logout,
                    "The session ends in the database, and memory forgets it before the answer goes out. Then the cookie is deleted.",
                ),
            },
            Scene {
                name: "copy",
                title: "A copy is used after the logout",
                meanwhile: "",
                before: &[],
                jwt: against_plain(
                    sends(
                        Thief,
                        Welcome,
                        "The signature holds, and the token has not expired. But its session is among the revocations in memory, so it is refused at once.",
                    ),
                    "A plain JWT is still accepted for up to 15 minutes: whoever checks it does not learn of the logout.",
                    "Refused at once: the ended session is looked up in memory, which costs no request to the database.",
                ),
                session: sends(
                    Thief,
                    Welcome,
                    "The session id leads to a session that has ended. A look-up can always say no.",
                ),
            },
        ],
    },
    Script {
        name: "logout-everywhere",
        title: "Logout everywhere",
        about: "Ada is signed in on her laptop and on her phone. One click ends both.",
        breaks: &[],
        scenes: &[
            Scene {
                name: "phone",
                title: "The phone is signed in",
                meanwhile: "",
                before: &[Sent(Laptop, Register), Sent(Phone, Login)],
                jwt: sends(Phone, Welcome, "Each sign-in is a session of its own, with tokens of its own."),
                session: sends(
                    Phone,
                    Welcome,
                    "Each sign-in is a session of its own, with an id of its own.",
                ),
            },
            Scene {
                name: "everywhere",
                title: "Ada logs out everywhere, on her laptop",
                meanwhile: "",
                before: &[],
                jwt: sends(
                    Laptop,
                    LogoutEverywhere,
                    "All sessions end in one transaction, and the claims version of the user rises. Every token with a lower version is stale.",
                ),
                session: sends(
                    Laptop,
                    LogoutEverywhere,
                    "All sessions end in one transaction, and none of their ids is good any more.",
                ),
            },
            Scene {
                name: "phone-again",
                title: "The phone asks again",
                meanwhile: "",
                before: &[],
                jwt: against_plain(
                    sends(
                        Phone,
                        Welcome,
                        "The token is older than the user's claims version, so it is stale at once. The phone has to refresh.",
                    ),
                    "A plain JWT is still accepted for up to 15 minutes, on every device that has one.",
                    "Refused at once: one entry in memory covers all tokens of the user.",
                ),
                session: sends(
                    Phone,
                    Welcome,
                    "The id leads to a session that has ended, so the phone has to sign in again.",
                ),
            },
            Scene {
                name: "phone-refresh",
                title: "The phone tries to refresh",
                meanwhile: "",
                before: &[],
                jwt: sends(
                    Phone,
                    Refresh,
                    "The database is asked, and the session has ended. Nothing is left but to sign in again.",
                ),
                session: nothing("There is nothing to refresh."),
            },
        ],
    },
    Script {
        name: "forbidden-role",
        title: "A role that may not",
        about: "Ada is signed in, and asks for something that only admins may see. Who she is was proved; it is not enough.",
        breaks: &[],
        scenes: &[Scene {
            name: "forbidden",
            title: "Ada asks for the list of users",
            meanwhile: "",
            before: &[Sent(Laptop, Register)],
            jwt: sends(
                Laptop,
                ListUsers,
                "The token is good. But an act of an admin believes no token: the role is read from the database, and it lacks the permission.",
            ),
            session: sends(
                Laptop,
                ListUsers,
                "The session is alive. The role is read from the database, and it lacks the permission.",
            ),
        }],
    },
    Script {
        name: "forged-token",
        title: "A forged token",
        about: "Somebody writes a credential of their own. The signature protects a token, and chance protects a session id.",
        breaks: &[],
        scenes: &[
            Scene {
                name: "role",
                title: "The role is changed to admin",
                meanwhile: "A thief changes a copy of the credential",
                before: &[Sent(Laptop, Register), Copied, Changed(Change::Role)],
                jwt: sends(
                    Thief,
                    Welcome,
                    "Anybody can read and rewrite the claims. But the signature does not fit them any more, and only Doorward can sign.",
                ),
                session: sends(
                    Thief,
                    Welcome,
                    "There is no role in a session id to change. With another character it is the id of no session.",
                ),
            },
            Scene {
                name: "unsigned",
                title: "The signature is left out",
                meanwhile: "",
                before: &[Copied, Changed(Change::Unsigned)],
                jwt: sends(
                    Thief,
                    Welcome,
                    "The header says that no signature is needed. Doorward does not believe a token about how to check it.",
                ),
                session: sends(
                    Thief,
                    Welcome,
                    "An id of 256 random bits cannot be guessed: there are more of them than atoms in the sun.",
                ),
            },
        ],
    },
    Script {
        name: "expired-token",
        title: "An old credential turns up",
        about: "Cookies from an old backup. How much they are worth depends on who decides when they end.",
        breaks: &[],
        scenes: &[Scene {
            name: "old",
            title: "The copy is used after 8 days",
            meanwhile: "Somebody copied Ada's cookies; nobody used them for 8 days",
            before: &[Sent(Laptop, Register), Copied, Minutes(8 * 24 * 60)],
            jwt: sends(
                Thief,
                Welcome,
                "The token expired 15 minutes after it was issued. Its signature holds for ever, and that does not help.",
            ),
            session: sends(
                Thief,
                Welcome,
                "Nobody used the session for 7 days, so it ended by itself. The cookie in the backup is worth nothing.",
            ),
        }],
    },
];

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

/// The request that is compared.
const fn first(before: &'static [Before]) -> Scene {
    Scene {
        name: "before",
        title: "Before",
        meanwhile: "",
        before,
        jwt: sends(Laptop, Welcome, "Ada's browser asks for her page, and gets it."),
        session: sends(Laptop, Welcome, "Ada's browser asks for her page, and gets it."),
    }
}

const CHARACTER: [Scene; 2] = [
    first(&[]),
    Scene {
        name: "after",
        title: "The same request with one character changed",
        meanwhile: "One character of the token is changed; of the session id as well",
        before: &[Copied, Changed(Change::Character)],
        jwt: sends(
            Thief,
            Welcome,
            "One character of the signature is enough: it does not fit any more, and nothing of the token is believed.",
        ),
        session: sends(Thief, Welcome, "One character makes it another id, and no session has that one."),
    },
];

const WAIT: [Scene; 2] = [
    first(&[]),
    Scene {
        name: "after",
        title: "The same request 16 minutes later",
        meanwhile: "16 minutes pass",
        before: &[Minutes(16)],
        jwt: sends(Laptop, Welcome, "The access token has expired. Its client would refresh now, and go on."),
        session: sends(Laptop, Welcome, "Nothing is different: a session lives for as long as it is used."),
    },
];

const TWICE: [Scene; 2] = [
    Scene {
        name: "before",
        title: "The first use",
        meanwhile: "",
        before: &[Copied],
        jwt: sends(Laptop, Refresh, "The refresh token is used, and replaced by the next one."),
        session: nothing("A session id is not used up, so there is no refresh token to use twice."),
    },
    Scene {
        name: "after",
        title: "The same token a second time",
        meanwhile: "2 minutes pass",
        before: &[Minutes(2)],
        jwt: sends(
            Thief,
            Refresh,
            "A second use means that somebody has a copy. The session ends, for the thief and for Ada.",
        ),
        session: nothing("That is simple, and it has a price: a copy is not noticed."),
    },
];

const PHONE: [Scene; 2] = [
    first(&[Sent(Phone, Login)]),
    Scene {
        name: "after",
        title: "The same request on the laptop",
        meanwhile: "Ada logs out everywhere, on her phone",
        before: &[Sent(Phone, LogoutEverywhere)],
        jwt: against_plain(
            sends(
                Laptop,
                Welcome,
                "The token is older than the user's claims version, so it is refused at once. The page in the laptop's tab is signed out, too.",
            ),
            "A plain JWT is still accepted for up to 15 minutes: nobody tells the laptop's token.",
            "Refused at once: one entry in memory covers all tokens of the user.",
        ),
        session: sends(Laptop, Welcome, "The session has ended, and the look-up says so at once."),
    },
];
