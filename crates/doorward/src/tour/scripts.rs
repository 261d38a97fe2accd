//! The scripts of the tour: what is sent, by which client, and the sentences about it.

mod breaks;
mod ending;
mod refused;
mod signing_in;

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
            Self::Character => &breaks::CHARACTER,
            Self::Wait => &breaks::WAIT,
            Self::Twice => &breaks::TWICE,
            Self::Phone => &breaks::PHONE,
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

/// Every flow of the tour.
pub const SCRIPTS: &[Script] = &[
    signing_in::REGISTER,
    signing_in::LOGIN,
    signing_in::PROTECTED,
    signing_in::EXPIRY,
    signing_in::REFRESH,
    ending::STOLEN_REFRESH_TOKEN,
    ending::LOGOUT,
    ending::LOGOUT_EVERYWHERE,
    refused::FORBIDDEN_ROLE,
    refused::FORGED_TOKEN,
    refused::EXPIRED_TOKEN,
];
