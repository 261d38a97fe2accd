//! The flow recorder: what a request did, step by step, so that people can see it.
//!
//! A step goes from one lane to another and has a verb. All verbs stand in one table, with their sentences. Facts are
//! typed where they are recorded. There is no type for a secret, so no secret can be recorded.
//!
//! Code that decides something calls [`note`]. It does nothing while nobody watches, which costs one relaxed load.

pub mod draw;
mod fact;
mod lane;
mod observer;
mod recording;
mod refusals;
mod ring;
mod sample;
mod traced;
mod verb;
mod words;

use doorward_core::Timestamp;
use serde::Serialize;

pub use fact::{ClaimsFact, CookieFact, Fact, Foreign, Label, Seen};
pub use lane::{Lane, Sender};
pub(crate) use observer::observer;
pub(crate) use recording::{Recording, current, note, recorded, recorded_at_once, started, tell};
pub use refusals::RefusedGroup;
pub(crate) use ring::Answered;
pub use ring::{Flows, Frame, MOST_VIEWERS, Reader, Viewer};
pub use sample::Sample;
pub use traced::{TraceOrigin, TraceParent, Traced};
pub use verb::Verb;
pub use words::words;

/// How many steps a flow has at most; later ones are counted.
pub const MOST_STEPS: usize = 64;
/// How many facts a step has at most; later ones are dropped.
pub const MOST_FACTS: usize = 12;

/// One request, from its arrival to its answer.
#[derive(Debug, Clone, Serialize)]
pub struct Flow {
    /// The id of the request, as in its answer's header `X-Request-Id`.
    pub id: String,
    /// When it was answered, in milliseconds since 1970.
    #[serde(serialize_with = "fact::millis")]
    pub at: Timestamp,
    /// The kind of the sender: the name of the first lane.
    pub sender: Sender,
    /// The method; `other` for one that HTTP doesn't name.
    pub method: &'static str,
    /// The route as its feature writes it: never the path, which may hold a secret.
    pub route: &'static str,
    /// The status of the answer.
    pub status: u16,
    /// The code of the refusal; `None` if it was answered.
    pub code: Option<&'static str>,
    /// From the arrival to the answer.
    pub total_us: u64,
    /// Whose request it is.
    pub story: Story,
    /// What happened, in its order.
    pub steps: Vec<Step>,
    /// How many steps more there were.
    pub cut: u32,
    /// What its span needs to know besides; `None` if that is nothing.
    #[serde(skip)]
    pub(crate) traced: Option<Box<Traced>>,
}

/// What joins requests: those of one session are one story.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Story {
    /// The session.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session: Option<doorward_core::SessionId>,
    /// The user.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<doorward_core::UserId>,
    /// The generation of the session's refresh token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub generation: Option<u64>,
    /// A keyed hash of the address that was typed: so an operator finds it, and nobody reads it.
    #[serde(skip)]
    pub address: Option<[u8; 8]>,
}

/// One step: a message from a lane to another, or a check within one.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Step {
    /// What was done.
    pub verb: Verb,
    /// Its result.
    pub verdict: Verdict,
    /// From the arrival of the request.
    pub at_us: u64,
    /// How long it took, if that was measured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub took_us: Option<u64>,
    /// The particulars.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub facts: Vec<Fact>,
}

/// The result of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It only happened.
    Done,
    /// A check that was passed.
    Passed,
    /// A check that failed, or a refusal.
    Failed,
}

impl Step {
    /// A step that just happened.
    pub(crate) fn of(verb: Verb) -> Self {
        Self { verb, verdict: Verdict::Done, at_us: 0, took_us: None, facts: Vec::new() }
    }

    /// A check, and whether it was passed.
    pub(crate) fn check(verb: Verb, passed: bool) -> Self {
        let verdict = if passed { Verdict::Passed } else { Verdict::Failed };
        Self { verdict, ..Self::of(verb) }
    }

    /// With a fact.
    pub(crate) fn fact(mut self, fact: Fact) -> Self {
        if self.facts.len() < MOST_FACTS {
            self.facts.push(fact);
        }
        self
    }

    /// With a fact, if there is one.
    pub(crate) fn maybe(self, fact: Option<Fact>) -> Self {
        match fact {
            Some(fact) => self.fact(fact),
            None => self,
        }
    }

    /// It took the time since then, as [`started`] gave it.
    pub(crate) fn since(mut self, started: Option<tokio::time::Instant>) -> Self {
        self.took_us = started.map(|at| u64::try_from(at.elapsed().as_micros()).unwrap_or(u64::MAX));
        self
    }
}

#[cfg(test)]
mod tests;
