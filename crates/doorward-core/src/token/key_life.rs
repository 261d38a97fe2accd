use crate::Timestamp;

use super::LEEWAY;

/// The state of a signing key at a given time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum KeyState {
    /// It is published, and signs later.
    Next,
    /// It signs and verifies.
    Active,
    /// It verifies what it signed, and no longer signs.
    Retired,
    /// It is no longer used.
    Removed,
}

impl KeyState {
    /// Its name for people and programs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Next => "next",
            Self::Active => "active",
            Self::Retired => "retired",
            Self::Removed => "removed",
        }
    }
}

/// The life of a signing key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyLife {
    /// It signs from this time on.
    pub activates_at: Timestamp,
    /// It no longer signs from this time on.
    pub retires_at: Option<Timestamp>,
    /// It no longer verifies from this time on.
    pub removed_at: Option<Timestamp>,
}

impl KeyLife {
    /// Its state now.
    pub fn state(self, now: Timestamp) -> KeyState {
        let is_past = |at: Option<Timestamp>| at.is_some_and(|at| at <= now);
        match self {
            _ if is_past(self.removed_at) => KeyState::Removed,
            _ if self.activates_at > now => KeyState::Next,
            _ if is_past(self.retires_at) => KeyState::Retired,
            _ => KeyState::Active,
        }
    }

    /// Whether it was replaced because it leaked: it was removed without a period of verifying only.
    pub fn is_compromised(self) -> bool {
        self.removed_at.is_some() && self.removed_at == self.retires_at
    }

    /// Whether a node whose clock is ahead may sign with it already.
    pub fn is_due(self, now: Timestamp) -> bool {
        self.state(now) == KeyState::Next && self.activates_at <= now + LEEWAY
    }

    /// Whether it verifies. A key verifies before it signs here for as long as another node's clock may be ahead, and
    /// not earlier (attack J39).
    pub fn verifies(self, now: Timestamp) -> bool {
        matches!(self.state(now), KeyState::Active | KeyState::Retired) || self.is_due(now)
    }

    /// The times at which its state changes.
    pub fn turns(self) -> impl Iterator<Item = Timestamp> {
        let verifies_at = self.activates_at - LEEWAY;
        [Some(verifies_at), Some(self.activates_at), self.retires_at, self.removed_at].into_iter().flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_000_000);

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_secs(1_000_000 + seconds)
    }

    #[test]
    fn a_key_is_published_then_signs_then_verifies_then_is_gone() {
        let life = |activates, retires: Option<i64>, removed: Option<i64>| KeyLife {
            activates_at: at(activates),
            retires_at: retires.map(at),
            removed_at: removed.map(at),
        };
        for (life, state, verifies, compromised) in [
            (life(31, None, None), KeyState::Next, false, false),
            (life(30, None, None), KeyState::Next, true, false),
            (life(1, None, None), KeyState::Next, true, false),
            (life(0, None, None), KeyState::Active, true, false),
            (life(-9, Some(1), Some(9)), KeyState::Active, true, false),
            (life(-9, Some(0), Some(9)), KeyState::Retired, true, false),
            (life(-9, Some(-5), Some(0)), KeyState::Removed, false, false),
            (life(-9, Some(0), Some(0)), KeyState::Removed, false, true),
            // Replaced before it ever signed.
            (life(9, Some(0), Some(0)), KeyState::Removed, false, true),
        ] {
            let found = (life.state(NOW), life.verifies(NOW), life.is_compromised());
            assert_eq!(found, (state, verifies, compromised), "{life:?}");
        }
    }

    #[test]
    fn nothing_changes_between_two_turns() {
        let life = KeyLife { activates_at: at(100), retires_at: Some(at(200)), removed_at: Some(at(300)) };
        let turns: Vec<_> = life.turns().collect();
        assert_eq!(turns, [at(70), at(100), at(200), at(300)]);
        let seen = |now: i64| (life.state(at(now)), life.verifies(at(now)));
        for now in (0..400).filter(|now| !turns.contains(&at(*now))) {
            assert_eq!(seen(now), seen(now - 1), "{now}");
        }
    }
}
