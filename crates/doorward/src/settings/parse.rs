use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use doorward_core::Mode;
use doorward_core::throttle::Limit;
use doorward_core::token::Algorithm;
use ipnet::IpNet;
use url::Url;

use crate::flow::Sample;
use crate::store::is_postgres;

/// A type that a setting can have.
pub(crate) trait FromText: Sized {
    /// Parses the value, or says what is wrong with it.
    fn from_text(text: &str) -> Result<Self, String>;
}

macro_rules! from_str {
    ($($type:ty: $problem:literal;)+) => {
        $(impl FromText for $type {
            fn from_text(text: &str) -> Result<Self, String> {
                text.parse().map_err(|_| $problem.to_owned())
            }
        })+
    };
}

from_str! {
    SocketAddr: "is not an address with a port, such as 127.0.0.1:8080";
    bool: "must be true or false";
    u32: "is not a whole number";
    u64: "is not a whole number";
    usize: "is not a whole number";
    Mode: "must be bearer, cookie or session";
    Algorithm: "must be ES256, EdDSA or RS256";
    IpNet: "is not a network, such as 10.0.0.0/8 or 192.0.2.1/32";
    Url: "is not a URL";
    PathBuf: "is not a path";
}

impl FromText for String {
    fn from_text(text: &str) -> Result<Self, String> {
        Ok(text.to_owned())
    }
}

impl FromText for Duration {
    fn from_text(text: &str) -> Result<Self, String> {
        humantime::parse_duration(text)
            .map_err(|error| format!("is not a duration, such as 15m or 30d: {error}"))
    }
}

impl FromText for Limit {
    fn from_text(text: &str) -> Result<Self, String> {
        const DAY: Duration = Duration::from_secs(86_400);
        let read = || {
            let (burst, period) = text.split_once('/')?;
            let burst = burst.trim().parse().ok().filter(|burst| (1..=100_000).contains(burst))?;
            let period = humantime::parse_duration(period.trim()).ok()?;
            (Duration::from_millis(1)..=DAY).contains(&period).then(|| Self::new(burst, period))
        };
        let form = "is no limit such as 10/30s: 10 at once (1 to 100000), then one in each 30 s (1ms to 1d)";
        read().ok_or_else(|| form.to_owned())
    }
}

impl FromText for Sample {
    fn from_text(text: &str) -> Result<Self, String> {
        let share = |text: &str| {
            let percent = text.strip_suffix('%')?.trim().parse::<f64>().ok()?;
            let one_of = (100.0 / percent).round();
            (percent > 0.0 && percent <= 100.0 && one_of <= 1e6).then_some(Self::OneOf(one_of as u32))
        };
        match text {
            "off" => Ok(Self::Off),
            "errors" => Ok(Self::Errors),
            _ => share(text).ok_or_else(|| "must be off, errors, or a share such as 1%".to_owned()),
        }
    }
}

/// A share, in percent.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Percent(pub f64);

impl FromText for Percent {
    fn from_text(text: &str) -> Result<Self, String> {
        let percent = text.strip_suffix('%').and_then(|number| number.trim().parse::<f64>().ok());
        let percent = percent.filter(|percent| *percent > 0.0 && *percent <= 100.0);
        percent.map(Self).ok_or_else(|| "is no share such as 5%, above 0% and at most 100%".to_owned())
    }
}

/// The URL of a database, which may contain its password: never printed. It may name several hosts, each with a port,
/// which other URLs can't.
#[derive(Clone, PartialEq, Eq)]
pub struct DatabaseUrl(String);

impl DatabaseUrl {
    /// The whole URL, password included.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("DatabaseUrl(…)")
    }
}

impl FromText for DatabaseUrl {
    fn from_text(text: &str) -> Result<Self, String> {
        let problem = || "is not a URL such as postgres://user:password@host/name".to_owned();
        if is_postgres(text) { Ok(Self(text.to_owned())) } else { Err(problem()) }
    }
}

impl<T: FromText> FromText for Option<T> {
    fn from_text(text: &str) -> Result<Self, String> {
        if text.is_empty() { Ok(None) } else { T::from_text(text).map(Some) }
    }
}

impl<T: FromText> FromText for Vec<T> {
    fn from_text(text: &str) -> Result<Self, String> {
        text.split(',').map(str::trim).filter(|item| !item.is_empty()).map(T::from_text).collect()
    }
}

macro_rules! choice {
    ($(#[doc = $doc:literal] $name:ident { $(#[doc = $variant_doc:literal] $variant:ident = $text:literal,)+ })+) => {
        $(#[doc = $doc]
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum $name { $(#[doc = $variant_doc] $variant,)+ }

        impl FromText for $name {
            fn from_text(text: &str) -> Result<Self, String> {
                match text {
                    $($text => Ok(Self::$variant),)+
                    _ => Err(concat!("must be one of:", $(" ", $text),+).to_owned()),
                }
            }
        })+
    };
}

choice! {
    /// Who may register.
    Registration {
        /// Everybody.
        Open = "open",
        /// People with an invitation.
        Invite = "invite",
        /// Nobody: an admin makes the accounts.
        Closed = "closed",
    }
    /// Whether cookies travel with a top-level navigation from another site.
    SameSite {
        /// They are not sent.
        Strict = "strict",
        /// They are sent, with safe methods.
        Lax = "lax",
    }
    /// How new passwords are hashed.
    PasswordAlgorithm {
        /// bcrypt, and argon2id for passwords that bcrypt would cut.
        Bcrypt = "bcrypt",
        /// argon2id for all.
        Argon2id = "argon2id",
    }
    /// The status for an invalid or expired token.
    InvalidTokenStatus {
        /// 401, as RFC 6750 says.
        Unauthorized = "401",
        /// 403, as many tutorials do.
        Forbidden = "403",
    }
    /// The form of the log.
    LogFormat {
        /// Text on a terminal, JSON otherwise.
        Auto = "auto",
        /// Text.
        Text = "text",
        /// One JSON object per line.
        Json = "json",
    }
    /// How much is logged.
    LogLevel {
        /// Somebody must act.
        Error = "error",
        /// Somebody may have to act.
        Warn = "warn",
        /// Events of the process.
        Info = "info",
        /// Each request.
        Debug = "debug",
        /// Everything.
        Trace = "trace",
    }
}
