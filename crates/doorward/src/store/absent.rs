//! An engine that this build lacks, since its crate feature is off. No value of it can exist, so none of its methods
//! ever runs.
#![allow(dead_code, reason = "each engine is asked for what it alone can do")]

use super::query::{Answer, Outcome};
use super::{Row, StoreError};

pub(super) enum Absent {}

impl Absent {
    pub(super) async fn open<S>(_: S) -> Result<Self, StoreError> {
        Err(StoreError::closed())
    }

    pub(super) async fn in_memory() -> Result<Self, StoreError> {
        Err(StoreError::closed())
    }

    pub(super) async fn find<V>(&self, _: &str, _: V) -> Result<Option<Row>, StoreError> {
        match *self {}
    }

    pub(super) async fn list<V>(&self, _: &str, _: V) -> Result<Vec<Row>, StoreError> {
        match *self {}
    }

    pub(super) async fn each<Q>(&self, _: Q) -> Result<Vec<Vec<Row>>, StoreError> {
        match *self {}
    }

    pub(super) async fn follow<V>(&self, _: &str, _: V) -> Result<Vec<Row>, StoreError> {
        match *self {}
    }

    pub(super) async fn scan<V, T>(&self, _: &str, _: V, _: T) -> Result<Vec<Row>, StoreError> {
        match *self {}
    }

    pub(super) async fn change<V>(&self, _: &str, _: V) -> Result<Answer, StoreError> {
        match *self {}
    }

    pub(super) async fn transaction<F, T, E>(&self, _: F) -> Outcome<T, E> {
        match *self {}
    }

    pub(super) async fn unsynced<Q>(&self, _: Q) -> Result<Vec<Vec<Row>>, StoreError> {
        match *self {}
    }

    pub(super) fn hints<N>(&self, _: N, _: N) -> tokio::task::AbortHandle {
        match *self {}
    }

    pub(super) async fn reader(&self) -> Result<Self, StoreError> {
        match *self {}
    }

    pub(super) async fn beat<V>(&self, _: &str, _: V) -> Result<(), StoreError> {
        match *self {}
    }

    pub(super) fn connect_anew(&self) {
        match *self {}
    }

    pub(super) async fn data_version(&self) -> Result<i64, StoreError> {
        match *self {}
    }

    pub(super) async fn close(&self) {
        match *self {}
    }

    pub(super) fn close_reader(self) {
        match self {}
    }
}
