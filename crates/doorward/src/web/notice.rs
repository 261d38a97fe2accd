//! What a page says after a redirect: from this list and nothing else, so that no link puts words on our pages.

use axum::extract::FromRequestParts;
use http::request::Parts;
use serde_json::{Value, json};

use crate::error::{Error, Result};
use crate::wire::query::Query;

/// Something was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Notice {
    SignedOut,
    SignedOutEverywhere,
    AccountDeleted,
    PasswordReset,
    NameChanged,
    EmailChanged,
    PasswordChanged,
    DeviceSignedOut,
    OthersSignedOut,
    UserCreated,
    UserChanged,
    UserSignedOut,
    UserDeleted,
    SessionEnded,
    InvitationWithdrawn,
    ClientDeleted,
}

impl Notice {
    const ALL: [Self; 16] = [
        Self::SignedOut,
        Self::SignedOutEverywhere,
        Self::AccountDeleted,
        Self::PasswordReset,
        Self::NameChanged,
        Self::EmailChanged,
        Self::PasswordChanged,
        Self::DeviceSignedOut,
        Self::OthersSignedOut,
        Self::UserCreated,
        Self::UserChanged,
        Self::UserSignedOut,
        Self::UserDeleted,
        Self::SessionEnded,
        Self::InvitationWithdrawn,
        Self::ClientDeleted,
    ];

    /// How the URL says it, and how the page does.
    fn row(self) -> (&'static str, &'static str) {
        match self {
            Self::SignedOut => ("signed-out", "You are signed out."),
            Self::SignedOutEverywhere => ("signed-out-everywhere", "You are signed out on all devices."),
            Self::AccountDeleted => ("account-deleted", "The account is deleted."),
            Self::PasswordReset => ("password-reset", "The new password is set. Sign in with it."),
            Self::NameChanged => ("name-changed", "Name changed."),
            Self::EmailChanged => ("email-changed", "Email changed."),
            Self::PasswordChanged => {
                ("password-changed", "Password changed. All other devices are signed out.")
            }
            Self::DeviceSignedOut => ("device-signed-out", "The device is signed out."),
            Self::OthersSignedOut => ("others-signed-out", "All other devices are signed out."),
            Self::UserCreated => ("user-created", "User created."),
            Self::UserChanged => ("user-changed", "Changes saved."),
            Self::UserSignedOut => ("user-signed-out", "The user is signed out on all devices."),
            Self::UserDeleted => ("user-deleted", "User deleted."),
            Self::SessionEnded => ("session-ended", "The user is signed out there."),
            Self::InvitationWithdrawn => ("invitation-withdrawn", "The invitation is withdrawn."),
            Self::ClientDeleted => ("client-deleted", "The client is deleted."),
        }
    }

    /// What `done` means to the routes that read it.
    pub(crate) const MEANING: &str = "What a page says was done; anything else says nothing.";

    /// The shape of `done`.
    pub(crate) fn shape() -> Value {
        json!({ "type": "string", "enum": Self::ALL.map(|notice| notice.row().0) })
    }

    /// This path, with the notice on it.
    pub(crate) fn at(self, path: &str) -> String {
        format!("{path}?done={}", self.row().0)
    }
}

/// What the page says, by `done` in the query of its URL.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Said(pub(crate) Option<&'static str>);

impl<S: Send + Sync> FromRequestParts<S> for Said {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self> {
        let query = Query::from_request_parts(parts, state).await?;
        Ok(Self(query.text("done").and_then(said)))
    }
}

fn said(code: &str) -> Option<&'static str> {
    Notice::ALL.iter().map(|notice| notice.row()).find(|(known, _)| *known == code).map(|(_, text)| text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_says_what_is_on_the_list_and_nothing_else() {
        for one in Notice::ALL {
            let path = one.at("/login");
            assert_eq!(path.strip_prefix("/login?done=").and_then(said), Some(one.row().1));
        }
        for code in ["", "Call 0900", "signed-out ", "SIGNED-OUT", "signed"] {
            assert_eq!(said(code), None, "{code}");
        }
    }
}
