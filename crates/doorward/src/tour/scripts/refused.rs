//! Credentials that are not enough.

use super::Ask::*;
use super::Before::*;
use super::Who::*;
use super::{Change, Scene, Script, sends};

pub(super) const FORBIDDEN_ROLE: Script = Script {
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
};

pub(super) const FORGED_TOKEN: Script = Script {
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
};

pub(super) const EXPIRED_TOKEN: Script = Script {
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
};
