//! The end of a session, and what a copy is worth afterwards.

use super::Ask::*;
use super::Before::*;
use super::Who::*;
use super::{Scene, Script, against_plain, nothing, sends};

pub(super) const STOLEN_REFRESH_TOKEN: Script = Script {
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
            session: sends(Thief, Welcome, "The copy ended with the original: both are the same session."),
        },
    ],
};

pub(super) const LOGOUT: Script = Script {
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
};

pub(super) const LOGOUT_EVERYWHERE: Script = Script {
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
            session: sends(Phone, Welcome, "Each sign-in is a session of its own, with an id of its own."),
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
};
