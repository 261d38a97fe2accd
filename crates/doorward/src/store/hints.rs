//! Hints from one node to the others that there is something to read.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;
use tokio::task::AbortHandle;

use super::{Engine, Store};

/// Where hints come and go. Without an engine that passes them on, none ever comes.
#[derive(Default)]
pub(super) struct Hints {
    given: Arc<Notify>,
    heard: Arc<Notify>,
    task: Mutex<Option<AbortHandle>>,
}

impl Store {
    /// Passes hints on, from now until the store is closed.
    pub(crate) fn start_hints(&self) {
        let Engine::Postgres(postgres) = &self.0.engine else { return };
        let Hints { given, heard, task } = &self.0.hints;
        let keeping = postgres.hints(given.clone(), heard.clone());
        let task = task.lock().unwrap_or_else(PoisonError::into_inner).replace(keeping);
        task.into_iter().for_each(|before| before.abort());
    }

    /// Tells other nodes to look.
    pub(crate) fn hint(&self) {
        self.0.hints.given.notify_one();
    }

    /// Notified if another node has something to read.
    pub(crate) fn hinted(&self) -> Arc<Notify> {
        self.0.hints.heard.clone()
    }
}

impl Drop for Hints {
    fn drop(&mut self) {
        let task = self.task.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        task.into_iter().for_each(|task| task.abort());
    }
}
