//! The recording of one request. It is found by the task that answers the request.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use doorward_core::Refusal;
use tokio::time::Instant;

use super::{Fact, Label, MOST_STEPS, Step, Story, Verb, Verdict};
use crate::clock::steady;

/// How many requests of this process are being recorded.
static RECORDED: AtomicUsize = AtomicUsize::new(0);

tokio::task_local! {
    static CURRENT: Option<Arc<Recording>>;
}

/// What is recorded of a request.
pub(crate) struct Recording {
    started: Instant,
    /// Every step takes the usual time of its verb: for drawings that must not change.
    is_even: bool,
    /// It is only wanted if the request is refused.
    pub(super) only_if_refused: bool,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    steps: Vec<Step>,
    cut: u32,
    story: Story,
    /// The end of the last step, if they are even.
    end_us: u64,
}

/// The steps of a finished recording.
pub(super) struct Recorded {
    pub(super) steps: Vec<Step>,
    pub(super) cut: u32,
    pub(super) story: Story,
    pub(super) total_us: u64,
}

impl Recording {
    pub(super) fn new(is_even: bool, only_if_refused: bool) -> Arc<Self> {
        RECORDED.fetch_add(1, Ordering::Relaxed);
        Arc::new(Self { started: steady(), is_even, only_if_refused, inner: Mutex::default() })
    }

    /// Whether it is kept, if its request was refused or not.
    pub(crate) fn is_kept(&self, refused: bool) -> bool {
        refused || !self.only_if_refused
    }

    /// Adds a step.
    pub(crate) fn push(&self, mut step: Step) {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        // Two are left, for the arrival and the answer.
        if inner.steps.len() + 2 >= MOST_STEPS {
            inner.cut = inner.cut.saturating_add(1);
            return;
        }
        if self.is_even {
            let took = usual(step.verb);
            (step.at_us, inner.end_us) = (inner.end_us, inner.end_us + took);
            step.took_us = step.took_us.map(|_| took);
            for fact in &mut step.facts {
                match fact {
                    Fact::Span { label: Label::Waited, us } => *us = 0,
                    Fact::Span { label: Label::Worked, us } => *us = took,
                    _ => {}
                }
            }
        } else {
            step.at_us = micros(self.started.elapsed()).saturating_sub(step.took_us.unwrap_or(0));
        }
        inner.steps.push(step);
    }

    /// Whether it has such a step.
    pub(super) fn has(&self, verb: Verb) -> bool {
        let inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.steps.iter().any(|step| step.verb == verb)
    }

    /// Whether a step says why the request is refused with this code.
    pub(crate) fn has_cause(&self, code: &str) -> bool {
        let inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let is_cause = |step: &Step| match step.verb {
            // A refused act is rolled back: that is no cause.
            Verb::Commit => false,
            Verb::PickCredential => is_about_credentials(Some(code)),
            _ => true,
        };
        inner.steps.iter().any(|step| step.verdict == Verdict::Failed && is_cause(step))
    }

    /// Says whose request it is.
    pub(crate) fn tell(&self, change: impl FnOnce(&mut Story)) {
        change(&mut self.inner.lock().unwrap_or_else(PoisonError::into_inner).story);
    }

    /// Ends the recording of a request that arrived with this verb and is answered by this step.
    pub(super) fn finish(&self, first: Verb, last: Step, code: Option<&str>) -> Recorded {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let Inner { mut steps, cut, story, end_us } = std::mem::take(&mut *inner);
        if !is_about_credentials(code) {
            // Where it is optional, no credential is no failure.
            let failed =
                |step: &&mut Step| step.verb == Verb::PickCredential && step.verdict == Verdict::Failed;
            steps.iter_mut().filter(failed).for_each(|step| step.verdict = Verdict::Done);
        }
        steps.insert(0, Step::of(first));
        let total_us = if self.is_even { end_us } else { micros(self.started.elapsed()) };
        steps.push(Step { at_us: total_us, ..last });
        Recorded { steps, cut, story, total_us }
    }
}

/// Whether the guard refuses with this code.
fn is_about_credentials(code: Option<&str>) -> bool {
    code.is_some_and(|code| Refusal::ALL.iter().any(|refusal| refusal.code() == code))
}

impl Drop for Recording {
    fn drop(&mut self) {
        RECORDED.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The usual time of a step, in microseconds.
fn usual(verb: Verb) -> u64 {
    match verb {
        Verb::ComparePassword | Verb::CompareDummy | Verb::HashPassword => 55_000,
        Verb::Commit => 900,
        Verb::FindUser | Verb::ReadUser | Verb::ReadSession | Verb::UseRefreshToken => 40,
        Verb::SignToken => 15,
        _ => 2,
    }
}

fn micros(span: Duration) -> u64 {
    u64::try_from(span.as_micros()).unwrap_or(u64::MAX)
}

/// Runs the work of a request, recorded if there is a recording.
pub(crate) async fn recorded<T>(recording: Option<Arc<Recording>>, work: impl Future<Output = T>) -> T {
    CURRENT.scope(recording, work).await
}

/// The same for work that doesn't wait.
pub(crate) fn recorded_at_once<T>(recording: &Option<Arc<Recording>>, work: impl FnOnce() -> T) -> T {
    match recording {
        Some(_) => CURRENT.sync_scope(recording.clone(), work),
        None => work(),
    }
}

/// The recording of the request that this task answers.
pub(crate) fn current() -> Option<Arc<Recording>> {
    if RECORDED.load(Ordering::Relaxed) == 0 {
        return None;
    }
    CURRENT.try_with(Clone::clone).ok().flatten()
}

/// Records a step of the request that this task answers; `make` runs only if somebody watches.
#[inline]
pub(crate) fn note(make: impl FnOnce() -> Step) {
    if let Some(recording) = current() {
        recording.push(make());
    }
}

/// Says whose request it is that this task answers.
#[inline]
pub(crate) fn tell(change: impl FnOnce(&mut Story)) {
    if let Some(recording) = current() {
        recording.tell(change);
    }
}

/// The time now, for the duration of a step; `None` if nobody watches.
pub(crate) fn started() -> Option<Instant> {
    current().map(|_| steady())
}
