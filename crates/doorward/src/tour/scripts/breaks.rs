//! What can be broken: a request, and the same request afterwards.

use super::Ask::*;
use super::Before::*;
use super::Who::*;
use super::{Before, Change, Scene, against_plain, nothing, sends};

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

pub(super) const CHARACTER: [Scene; 2] = [
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

pub(super) const WAIT: [Scene; 2] = [
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

pub(super) const TWICE: [Scene; 2] = [
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

pub(super) const PHONE: [Scene; 2] = [
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
