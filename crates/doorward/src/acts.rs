//! Acts: each change with its actor, address and time.
//!
//! [`Acts::commit`] runs a change as one transaction. If it fails with any error, none of it is kept. The duties of
//! every change are done here and nowhere else. These are its audit entries, and its revocations with their position,
//! the last rows before the commit. After the commit and before the answer, memory takes over the change.
//!
//! To keep something although the request is refused, commit it in an act of its own, or return the refusal as a value.

use std::ops::{Deref, DerefMut};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use doorward_core::role::Roles;
use doorward_core::{SessionId, Timestamp, UserId};

use crate::audit::{self, Action, By, Entry};
use crate::clock::Clock;
use crate::flow::{self, Fact, Label, Recording, Step, Verb, note};
use crate::posts;
use crate::revocations::{self, AllEnded, EndReason, Raised, Revocations, Revoked};
use crate::seldom::seldom;
use crate::store::{Row, Store, StoreError, Tx, Value};
use crate::users::{Subject, Users};

/// The circumstances of a change.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Act {
    pub(crate) by: By,
    pub(crate) at: Timestamp,
    /// The form that it answers.
    form: Option<posts::Hash>,
    /// Whether it takes access away.
    is_end: bool,
}

impl Act {
    pub(crate) fn new(by: By, at: Timestamp) -> Self {
        Self { by, at, form: posts::current(), is_end: false }
    }

    /// An act that takes access away, or replaces what may have leaked. If its entry can't be written, or the disk is
    /// full, it is repeated without the entry. So people can still sign out (attack X10).
    pub(crate) fn ending(by: By, at: Timestamp) -> Self {
        Self { is_end: true, ..Self::new(by, at) }
    }
}

/// The result of a change: its value, and what the audit log says of it.
pub(crate) struct Done<T> {
    value: T,
    entries: Vec<Entry>,
}

impl<T> Done<T> {
    /// A change with one entry.
    pub(crate) fn new(value: T, entry: Entry) -> Self {
        Self { value, entries: vec![entry] }
    }

    /// A change without an entry: one that changed nothing, or a refresh.
    pub(crate) fn without_entry(value: T) -> Self {
        Self { value, entries: Vec::new() }
    }

    /// A change with an entry for each thing that it did.
    pub(crate) fn with_entries(value: T, entries: Vec<Entry>) -> Self {
        Self { value, entries }
    }

    pub(crate) fn map<U>(self, change: impl FnOnce(T) -> U) -> Done<U> {
        Done { value: change(self.value), entries: self.entries }
    }
}

/// A change in progress: its transaction, and its consequences.
pub(crate) struct Change<'a> {
    tx: &'a mut Tx,
    /// When it happens.
    pub(crate) at: Timestamp,
    ended: Vec<Revoked>,
    raised: Vec<Raised>,
    effects: Effects,
    /// The recording of the request. The store runs a change on a thread of its own.
    recording: Option<Arc<Recording>>,
}

/// What a change means for memory.
#[derive(Default)]
struct Effects {
    over: Vec<SessionId>,
    subjects: Vec<Subject>,
    all_ended: Vec<(UserId, AllEnded)>,
    changed: Vec<UserId>,
    gone: Vec<UserId>,
    /// The audit entries that were written.
    entries: Vec<Action>,
    /// Its number on the lane of this process, if it revoked anything.
    number: Option<i64>,
}

impl Change<'_> {
    /// A session that this change ended.
    pub(crate) fn ended(&mut self, session: SessionId, user: UserId, reason: EndReason) {
        self.ended.push(Revoked { session, user, reason });
    }

    /// A session that another act has ended: that act may not have reached the sets in memory yet (attack R04).
    pub(crate) fn ended_before(&mut self, session: SessionId) {
        self.effects.over.push(session);
    }

    /// The user's claims have changed: tokens of a lower version are stale.
    pub(crate) fn raised(&mut self, subject: Subject) {
        self.raised.push(Raised { subject, all_ended: None });
    }

    /// All sessions of the user have ended, except one that is kept.
    pub(crate) fn ended_all(&mut self, user: UserId, kept: Option<SessionId>) {
        let all = AllEnded { until: self.at, kept };
        for raised in self.raised.iter_mut().filter(|raised| raised.subject.user == user) {
            raised.all_ended = Some(all);
        }
    }

    /// Tokens of a lower version are stale already: another act has raised it, and may not have reached the sets in
    /// memory yet.
    pub(crate) fn raised_before(&mut self, subject: Subject) {
        self.effects.subjects.push(subject);
    }

    /// Records a step of this change, if somebody watches.
    pub(crate) fn note(&self, make: impl FnOnce() -> Step) {
        if let Some(recording) = &self.recording {
            recording.push(make());
        }
    }

    /// Memory must read this user again.
    pub(crate) fn user_changed(&mut self, user: UserId) {
        self.effects.changed.push(user);
    }

    /// The user is deleted: memory forgets them, and no audit entry names them, including that of this change.
    pub(crate) fn user_deleted(&mut self, user: UserId) {
        self.effects.gone.push(user);
    }
}

impl Deref for Change<'_> {
    type Target = Tx;

    fn deref(&self) -> &Tx {
        self.tx
    }
}

impl DerefMut for Change<'_> {
    fn deref_mut(&mut self) -> &mut Tx {
        self.tx
    }
}

/// Runs changes.
#[derive(Clone)]
pub(crate) struct Acts {
    store: Store,
    revocations: Arc<Revocations>,
    users: Arc<Users>,
}

/// What the foundations that change something need.
#[derive(Clone)]
pub(crate) struct Base {
    pub(crate) store: Store,
    pub(crate) clock: Clock,
    pub(crate) roles: Roles,
    pub(crate) acts: Acts,
}

/// Why a change was not kept.
enum Stop {
    /// The change itself failed, with its own error.
    Refused,
    Failed(StoreError),
}

impl From<StoreError> for Stop {
    fn from(error: StoreError) -> Self {
        Self::Failed(error)
    }
}

/// A change without its types: it returns its entries, and keeps its value or refusal for [`Acts::commit`]. So the path
/// through the store is compiled once, and not for each act.
type Untyped = Arc<dyn for<'a> Fn(&'a mut Change<'_>) -> Running<'a> + Send + Sync>;
type Running<'a> = Pin<Box<dyn Future<Output = Result<Vec<Entry>, Stop>> + 'a>>;

impl Acts {
    pub(crate) fn new(store: Store, revocations: Arc<Revocations>, users: Arc<Users>) -> Self {
        Self { store, revocations, users }
    }

    /// Runs a change as one transaction, and puts it in force in memory.
    ///
    /// # Errors
    /// What the change fails with; the store's. Nothing is kept then.
    pub(crate) async fn commit<F, T, E>(&self, act: Act, change: F) -> Result<T, E>
    where
        F: AsyncFn(&mut Change<'_>) -> Result<Done<T>, E> + Send + Sync + 'static,
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let (change, kept) = (Arc::new(change), Arc::new(Mutex::new(None)));
        let keeps = kept.clone();
        let untyped: Untyped = Arc::new(move |under_way| {
            let (change, keeps) = (change.clone(), keeps.clone());
            Box::pin(async move {
                let (outcome, entries) = match change(under_way).await {
                    Ok(Done { value, entries }) => (Ok(value), Ok(entries)),
                    Err(refusal) => (Err(refusal), Err(Stop::Refused)),
                };
                *keeps.lock().unwrap_or_else(PoisonError::into_inner) = Some(outcome);
                entries
            })
        });
        if let Err(Stop::Failed(error)) = self.commit_untyped(act, untyped).await {
            return Err(error.into());
        }
        let outcome = kept.lock().unwrap_or_else(PoisonError::into_inner).take();
        outcome.unwrap_or_else(|| Err(StoreError::Corrupt("a change came to nothing".into()).into()))
    }

    /// Runs a change of one statement, which has no entry and ends nothing: a transaction of its own. What `step` says of
    /// its row is recorded before the commit.
    ///
    /// # Errors
    /// The store's.
    pub(crate) async fn commit_one(
        &self,
        sql: &'static str,
        values: Vec<Value>,
        step: impl FnOnce() -> Step,
    ) -> Result<Option<Row>, StoreError> {
        let started = flow::started();
        let row = self.store.change(sql, values).await?.into_first();
        if row.is_some() {
            note(step);
            note(|| committed(Some(&Effects::default())).since(started));
        }
        Ok(row)
    }

    async fn commit_untyped(&self, act: Act, change: Untyped) -> Result<(), Stop> {
        let (entry_failed, started) = (Arc::new(AtomicBool::new(false)), flow::started());
        let outcome = match self.run(act, change.clone(), Some(entry_failed.clone())).await {
            Err(Stop::Failed(error))
                if act.is_end
                    && (entry_failed.load(Ordering::Relaxed) || matches!(error, StoreError::Full(_))) =>
            {
                let outcome = self.run(act, change, None).await;
                if outcome.is_ok() {
                    seldom!(ERROR, "an end was not written into the audit log, and was done all the same", %error);
                }
                outcome
            }
            outcome => outcome,
        };
        note(|| committed(outcome.as_ref().ok()).since(started));
        let effects = outcome?;
        self.put_in_force(&effects);
        note_in_force(&effects);
        Ok(())
    }

    /// One try, with entries if a failure to write them can be noted.
    async fn run(
        &self,
        act: Act,
        change: Untyped,
        entry_failed: Option<Arc<AtomicBool>>,
    ) -> Result<Effects, Stop> {
        let (until, recording) = (act.at + self.revocations.remembered_for(), flow::current());
        let revocations = self.revocations.clone();
        let run = async move |tx: &mut Tx| {
            let (ended, raised) = (Vec::new(), Vec::new());
            let (effects, recording) = (Effects::default(), recording.clone());
            let mut under_way = Change { tx, at: act.at, ended, raised, effects, recording };
            let entries = change(&mut under_way).await?;
            let Change { tx, ended, raised, mut effects, .. } = under_way;
            if let Some(failed) = &entry_failed {
                for entry in &entries {
                    audit::record(tx, entry, act.by, act.at, act.form, failed)?;
                }
            }
            for user in &effects.gone {
                audit::forget(tx, *user)?;
            }
            let revoked = revocations::Recording { ended: &ended, raised: &raised, at: act.at, until };
            effects.number = revocations.record(tx, revoked)?;
            effects.over.extend(ended.iter().map(|ended| ended.session));
            for Raised { subject, all_ended } in raised {
                effects.subjects.push(subject);
                effects.all_ended.extend(all_ended.map(|all| (subject.user, all)));
            }
            effects.entries = entries.iter().map(Entry::action).collect();
            Ok(effects)
        };
        self.store.attempt(run).await
    }

    fn put_in_force(&self, effects: &Effects) {
        self.revocations.apply(&effects.over);
        effects.subjects.iter().for_each(|subject| self.revocations.apply_version(*subject));
        effects.all_ended.iter().for_each(|(user, all)| self.revocations.apply_all_ended(*user, *all));
        if let Some(number) = effects.number {
            self.revocations.committed(number);
            self.store.hint();
        }
        effects.changed.iter().for_each(|user| self.users.read_again(*user));
        effects.gone.iter().for_each(|user| self.users.forget(*user));
    }
}

/// The commit as a step: what it wrote into the audit log.
fn committed(effects: Option<&Effects>) -> Step {
    let entries = effects.map(|effects| effects.entries.as_slice()).unwrap_or_default();
    let step = Step::check(Verb::Commit, effects.is_some());
    entries.iter().fold(step, |step, entry| step.fact(Fact::text(Label::Entry, entry.name)))
}

/// What is over from now on, as a step; none if nothing is.
fn note_in_force(effects: &Effects) {
    if effects.over.is_empty() && effects.subjects.is_empty() {
        return;
    }
    note(|| {
        let step = Step::of(Verb::PutInForce).fact(Fact::count(Label::Ended, effects.over.len()));
        step.fact(Fact::count(Label::Stale, effects.subjects.len()))
    });
}
