use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::{StoreError, Tx};

/// How a store under test fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// A statement, or the end of a transaction, fails; nothing of its transaction is kept.
    Fails,
    /// A call is done, and its answer is lost on the way back.
    LosesItsAnswer,
    /// A call waits until [`Faults::release`].
    IsHeld,
    /// A call is done, and its answer waits until [`Faults::release`].
    AnswerIsHeld,
}

/// What fails until a test says otherwise.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub enum Outage {
    /// Nothing.
    #[default]
    None,
    /// Every write.
    Writes,
    /// Every call.
    All,
}

/// Faults that tests put into a store.
#[derive(Default)]
pub struct Faults {
    armed: Mutex<Armed>,
    outage: Mutex<Outage>,
    reached: Notify,
    released: Notify,
}

#[derive(Default)]
struct Armed {
    fault: Option<Fault>,
    /// How many calls succeed before it.
    before: usize,
    met: bool,
}

impl Faults {
    /// Gives this fault to the `nth` statement or call from now; 0 is the next one.
    pub fn arm(&self, fault: Fault, nth: usize) {
        *self.armed() = Armed { fault: Some(fault), before: nth, met: false };
    }

    /// Ends all faults; returns whether the fault occurred.
    pub fn disarm(&self) -> bool {
        std::mem::take(&mut *self.armed()).met
    }

    /// Makes this fail from now on.
    pub fn outage(&self, outage: Outage) {
        *self.outage.lock().unwrap_or_else(PoisonError::into_inner) = outage;
    }

    /// Waits until a call is held.
    pub async fn reached(&self) {
        self.reached.notified().await;
    }

    /// Lets the held call go on, if there is one.
    pub fn release(&self) {
        self.released.notify_waiters();
    }

    fn armed(&self) -> MutexGuard<'_, Armed> {
        self.armed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_due(&self, fault: Fault) -> bool {
        let mut armed = self.armed();
        if armed.fault != Some(fault) || armed.met {
            return false;
        }
        armed.met = armed.before == 0;
        armed.before = armed.before.saturating_sub(1);
        armed.met
    }

    /// One statement, or the end of a transaction.
    pub(super) fn statement(&self) -> Result<(), StoreError> {
        if self.is_due(Fault::Fails) { Err(failure()) } else { Ok(()) }
    }

    /// One call of the store.
    pub(super) async fn call<T>(
        &self,
        kind: &'static str,
        act: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        let outage = *self.outage.lock().unwrap_or_else(PoisonError::into_inner);
        if outage == Outage::All || (outage == Outage::Writes && kind == "write") {
            return Err(failure());
        }
        self.statement()?;
        if self.is_due(Fault::IsHeld) {
            self.hold().await;
        }
        let (loses, holds) = (self.is_due(Fault::LosesItsAnswer), self.is_due(Fault::AnswerIsHeld));
        let outcome = act.await;
        if holds {
            self.hold().await;
        }
        if loses { Err(failure()) } else { outcome }
    }

    async fn hold(&self) {
        let mut released = pin!(self.released.notified());
        released.as_mut().enable();
        self.reached.notify_one();
        released.await;
    }
}

fn failure() -> StoreError {
    StoreError::Unavailable("a test let it fail".to_owned())
}

/// The same transaction: each of its statements can fail, and so can its end.
pub(super) fn within<F, T, E>(
    faults: Arc<Faults>,
    act: F,
) -> impl AsyncFn(&mut Tx) -> Result<T, E> + Send + 'static
where
    F: AsyncFn(&mut Tx) -> Result<T, E> + Send + 'static,
    T: Send + 'static,
    E: From<StoreError> + Send + 'static,
{
    async move |tx: &mut Tx| {
        tx.faults = Some(faults.clone());
        let returned = act(tx).await?;
        faults.statement()?;
        Ok(returned)
    }
}
