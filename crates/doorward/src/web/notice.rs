//! What a page says after a redirect: from this list and nothing else, so that no link puts words on our pages.

use std::convert::Infallible;

use axum::extract::FromRequestParts;
use http::request::Parts;
use url::form_urlencoded;

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
}

impl Notice {
    const ALL: [Self; 13] = [
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
        }
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
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self(parts.uri.query().and_then(said)))
    }
}

fn said(query: &str) -> Option<&'static str> {
    let (_, code) = form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "done")?;
    Notice::ALL.iter().map(|notice| notice.row()).find(|(known, _)| *known == code).map(|(_, text)| text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_says_what_is_on_the_list_and_nothing_else() {
        for one in Notice::ALL {
            let path = one.at("/login");
            assert_eq!(path.split_once('?').and_then(|(_, query)| said(query)), Some(one.row().1));
        }
        for query in ["", "done", "done=", "done=Call+0900", "done=signed-out%20", "undone=signed-out"] {
            assert_eq!(said(query), None, "{query}");
        }
    }
}
