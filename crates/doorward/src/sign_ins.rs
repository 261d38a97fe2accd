//! Sign-ins in the log, for a SIEM and fail2ban.
//!
//! A successful one is one line. So is a failed one until its network is limited. From then on that network has one
//! line a minute with the number, until no attempt was refused for a minute. Beyond 1,000 networks a minute, one line
//! has the number of the rest (attack X01).

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use doorward_core::{Mode, SessionId, UserId};

use crate::error::Error;
use crate::sessions::Issued;
use crate::wire::peer::network;

const MINUTE: Duration = Duration::from_secs(60);
/// How many networks are distinguished in a minute.
const NETWORKS: usize = 1_000;
/// How many failures of one network have separate lines in a minute, even if no limit refuses them.
const LINES: u64 = 100;

/// The result of a sign-in: with a password, by a registration, or by a form that came before. It is among the
/// extensions of an answer, since only the answer layer knows the request's id.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SignIn {
    /// Who tried.
    pub(crate) ip: IpAddr,
    /// Its result.
    pub(crate) outcome: Outcome,
}

/// The result of a sign-in.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Outcome {
    /// A session began.
    SignedIn(UserId, SessionId, Mode),
    /// It was refused, with this code; by a limit, or for another reason.
    Refused { code: &'static str, limited: bool },
}

impl SignIn {
    /// One that gave this credential.
    pub(crate) fn done(ip: IpAddr, issued: &Issued) -> Self {
        Self { ip, outcome: Outcome::SignedIn(issued.user, issued.session, issued.mode) }
    }
}

impl Outcome {
    /// Of an error; `None` if it says nothing of a sign-in: a request that can't be parsed, or an internal failure.
    pub(crate) fn of(error: &Error) -> Option<Self> {
        let limited = matches!(error, Error::TooManyAttempts(_));
        let refused =
            matches!(error, Error::InvalidCredentials | Error::UserDisabled | Error::RefusedByApplication(_));
        (limited || refused).then(|| Self::Refused { code: error.code(), limited })
    }
}

/// Writes sign-ins into the log.
#[derive(Default)]
pub(crate) struct SignIns(Mutex<Minute>);

#[derive(Default)]
struct Minute {
    /// When it began, in monotonic time.
    began_at: Duration,
    networks: HashMap<IpAddr, Failures>,
    /// Failures from networks beyond [`NETWORKS`].
    rest: u64,
}

#[derive(Default)]
struct Failures {
    lines: u64,
    /// The number that waits for the line of the minute.
    unwritten: u64,
    limited: bool,
}

impl SignIns {
    /// Records a sign-in at this monotonic time, and writes its line if it has one.
    pub(crate) fn note(&self, sign_in: SignIn, request_id: impl std::fmt::Display, now: Duration) {
        let ip = sign_in.ip;
        match sign_in.outcome {
            Outcome::SignedIn(user, session, mode) => {
                tracing::info!(target: "doorward::sign_in", %ip, %user, %session, %mode, %request_id, "signed in");
            }
            Outcome::Refused { code, limited } => {
                if self.has_line(network(ip), limited, now) {
                    tracing::warn!(target: "doorward::sign_in", %ip, %code, %request_id, "sign-in failed");
                }
            }
        }
    }

    fn has_line(&self, network: IpAddr, limited: bool, now: Duration) -> bool {
        self.write_due(now);
        let mut minute = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if minute.networks.len() >= NETWORKS && !minute.networks.contains_key(&network) {
            minute.rest += 1;
            return false;
        }
        let failures = minute.networks.entry(network).or_default();
        failures.limited |= limited || failures.lines >= LINES;
        if failures.limited {
            failures.unwritten += 1;
        } else {
            failures.lines += 1;
        }
        !failures.limited
    }

    /// Writes the lines of the minute once it is over. Called about once a second.
    pub(crate) fn write_due(&self, now: Duration) {
        let mut minute = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if now.saturating_sub(minute.began_at) < MINUTE {
            return;
        }
        let (rest, over) = (std::mem::take(&mut minute.rest), std::mem::take(&mut minute.networks));
        minute.began_at = now;
        // A network that was limited stays so for the next minute: otherwise each minute would begin with separate
        // lines.
        let limited = over.iter().filter(|(_, failures)| failures.unwritten > 0);
        minute.networks = limited
            .map(|(network, _)| (*network, Failures { limited: true, ..Failures::default() }))
            .collect();
        drop(minute);
        write(over, rest);
    }

    /// Writes the pending lines, before the process ends.
    pub(crate) fn write_last(&self) {
        let minute = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        write(minute.networks, minute.rest);
    }
}

fn write(networks: HashMap<IpAddr, Failures>, rest: u64) {
    for (network, failures) in networks {
        let times = failures.unwritten;
        match network {
            _ if times == 0 => {}
            IpAddr::V4(network) => {
                tracing::warn!(target: "doorward::sign_in", %network, times, "sign-ins failed");
            }
            IpAddr::V6(network) => {
                tracing::warn!(target: "doorward::sign_in", network = %format_args!("{network}/64"), times, "sign-ins failed");
            }
        }
    }
    if rest > 0 {
        tracing::warn!(target: "doorward::sign_in", times = rest, "sign-ins failed from further networks");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::from_secs(1_000);

    fn ip(n: u32) -> IpAddr {
        std::net::Ipv4Addr::from(n).into()
    }

    fn unwritten(sign_ins: &SignIns, n: u32) -> Option<u64> {
        sign_ins.0.lock().unwrap().networks.get(&ip(n)).map(|failures| failures.unwritten)
    }

    #[test]
    fn a_failure_has_a_line_until_its_network_is_limited_and_others_keep_theirs() {
        let sign_ins = SignIns::default();
        assert!((0..10).all(|_| sign_ins.has_line(ip(1), false, NOW)));
        assert!(!sign_ins.has_line(ip(1), true, NOW));
        assert!(!sign_ins.has_line(ip(1), false, NOW));
        assert_eq!(unwritten(&sign_ins, 1), Some(2));
        assert!(sign_ins.has_line(ip(2), false, NOW));
        // It stays limited, and loses that after a minute without failures.
        assert!(!sign_ins.has_line(ip(1), false, NOW + MINUTE));
        sign_ins.write_due(NOW + 2 * MINUTE);
        assert_eq!(unwritten(&sign_ins, 1), Some(0));
        sign_ins.write_due(NOW + 3 * MINUTE);
        assert_eq!(unwritten(&sign_ins, 1), None);
        assert!(sign_ins.has_line(ip(1), false, NOW + 3 * MINUTE));
    }

    #[test]
    fn x01_without_a_limit_a_network_has_a_hundred_lines_a_minute() {
        let sign_ins = SignIns::default();
        let lines = (0..5_000).filter(|_| sign_ins.has_line(ip(1), false, NOW)).count();
        assert_eq!((lines, unwritten(&sign_ins, 1)), (100, Some(4_900)));
    }

    #[test]
    fn x01_beyond_a_thousand_networks_failures_are_only_counted() {
        let sign_ins = SignIns::default();
        let lines = (0..50_000).filter(|n| sign_ins.has_line(ip(*n), false, NOW)).count();
        let minute = sign_ins.0.lock().unwrap();
        assert_eq!((lines, minute.networks.len(), minute.rest), (1_000, 1_000, 49_000));
    }
}
