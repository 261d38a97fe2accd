use std::time::Duration;

use crate::role::RoleName;
use crate::{Mode, Timestamp};

/// How long credentials live.
#[derive(Debug, Clone, Copy)]
pub struct Lifetimes {
    /// An access token, from its issue.
    pub access_ttl: Duration,
    /// A refresh token, from its last use.
    pub refresh_ttl: Duration,
    /// A session in session mode, from its last use.
    pub idle_ttl: Duration,
    /// Any session, from the sign-in.
    pub absolute_ttl: Duration,
    /// A session of an admin, from the sign-in.
    pub admin_absolute_ttl: Duration,
}

impl Lifetimes {
    /// When a session that began at `created_at` ends, however often it is used.
    pub fn absolute_end(&self, role: RoleName, created_at: Timestamp) -> Timestamp {
        let admin = role == RoleName::ADMIN;
        created_at + if admin { self.admin_absolute_ttl.min(self.absolute_ttl) } else { self.absolute_ttl }
    }

    /// When a session that was last used at `used_at` ends unless it is used again; never later than its absolute end.
    pub fn idle_end(&self, mode: Mode, used_at: Timestamp, absolute_end: Timestamp) -> Timestamp {
        let ttl = if mode == Mode::Session { self.idle_ttl } else { self.refresh_ttl };
        (used_at + ttl).min(absolute_end)
    }

    /// When an access token that is issued at `now` expires; never later than its session.
    pub fn access_end(&self, now: Timestamp, absolute_end: Timestamp) -> Timestamp {
        (now + self.access_ttl).min(absolute_end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn use_extends_a_session_up_to_its_absolute_end_and_no_further() {
        let day = Duration::from_secs(86_400);
        let lifetimes = Lifetimes {
            access_ttl: Duration::from_secs(900),
            refresh_ttl: 30 * day,
            idle_ttl: 7 * day,
            absolute_ttl: 90 * day,
            admin_absolute_ttl: day / 2,
        };
        let start = Timestamp::from_secs(0);
        let end = lifetimes.absolute_end(RoleName::USER, start);
        assert_eq!(end, start + 90 * day);
        assert_eq!(lifetimes.absolute_end(RoleName::ADMIN, start), start + day / 2);
        assert_eq!(lifetimes.idle_end(Mode::Bearer, start, end), start + 30 * day);
        assert_eq!(lifetimes.idle_end(Mode::Session, start, end), start + 7 * day);
        assert_eq!(lifetimes.idle_end(Mode::Bearer, start + 80 * day, end), end);
        let short = Lifetimes { absolute_ttl: day / 4, ..lifetimes };
        assert_eq!(short.absolute_end(RoleName::ADMIN, start), start + day / 4);
        assert_eq!(lifetimes.access_end(end - Duration::from_secs(1), end), end);
    }
}
