//! Whether a session is alive: the one rule, for every credential and every route.

use crate::{Refusal, Timestamp};

/// What decides whether a session is alive, as the store has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionState {
    /// When an act ended it.
    pub ended_at: Option<Timestamp>,
    /// Since when its user is disabled.
    pub disabled_at: Option<Timestamp>,
    /// When it ends unless it is used again.
    pub expires_at: Timestamp,
    /// When it ends however often it is used.
    pub absolute_expires_at: Timestamp,
}

impl SessionState {
    /// Succeeds for a live session.
    ///
    /// # Errors
    /// [`Refusal::SessionEnded`] if it was ended or its user is disabled; otherwise [`Refusal::SessionExpired`] if one
    /// of its two ends has come. A session is over at the very moment of its end.
    pub fn check(&self, now: Timestamp) -> Result<(), Refusal> {
        self.check_not_ended()?;
        if now >= self.expires_at.min(self.absolute_expires_at) {
            return Err(Refusal::SessionExpired);
        }
        Ok(())
    }

    /// The half of [`SessionState::check`] that compares no times, for a credential whose own times were checked
    /// already.
    ///
    /// # Errors
    /// [`Refusal::SessionEnded`] if the session was ended, or its user is disabled. No times are compared.
    pub fn check_not_ended(&self) -> Result<(), Refusal> {
        if self.ended_at.is_some() || self.disabled_at.is_some() {
            Err(Refusal::SessionEnded)
        } else {
            Ok(())
        }
    }

    /// Whether it is alive.
    pub fn is_alive(&self, now: Timestamp) -> bool {
        self.check(now).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_case_of_alive() {
        let at = Timestamp::from_secs;
        let (now, past, future) = (at(100), at(99), at(101));
        let (ended, expired) = (Err(Refusal::SessionEnded), Err(Refusal::SessionExpired));
        // ended_at, disabled_at, expires_at, absolute_expires_at
        let table = [
            (None, None, future, future, Ok(())),
            (None, None, now, future, expired),
            (None, None, future, now, expired),
            (None, None, past, future, expired),
            (None, None, future, past, expired),
            (None, None, past, past, expired),
            (Some(past), None, future, future, ended),
            (Some(past), None, past, future, ended),
            (Some(past), None, future, past, ended),
            (Some(past), None, past, past, ended),
            (None, Some(past), future, future, ended),
            (None, Some(past), past, future, ended),
            (None, Some(past), future, past, ended),
            (None, Some(past), past, past, ended),
            (Some(past), Some(past), future, future, ended),
            (Some(past), Some(past), past, past, ended),
            // An end or a disabling counts even if another machine's clock dates it later: no times are compared.
            (Some(future), None, future, future, ended),
            (None, Some(future), future, future, ended),
        ];
        for (ended_at, disabled_at, expires_at, absolute_expires_at, expected) in table {
            let state = SessionState { ended_at, disabled_at, expires_at, absolute_expires_at };
            assert_eq!(state.check(now), expected, "{state:?}");
            assert_eq!(state.is_alive(now), expected.is_ok(), "{state:?}");
        }
    }
}
