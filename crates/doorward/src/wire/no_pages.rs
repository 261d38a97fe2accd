//! In place of `page.rs`, without the feature `pages`: the same names, and nothing to show. No request gets here, since
//! [`Reader`](super::reader::Reader) counts everybody as a program.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Extension;
use axum::response::{IntoResponse, Response};
use http::StatusCode;

use crate::error::Error;
use crate::settings::Settings;
use crate::texts::Language;
use crate::wire::problem::Asked;

pub(crate) const FORM_KEY: &str = "form_key";
pub(crate) const ACCOUNT: &str = "account";

/// The data of a page.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Value;

/// Data that a page would show.
pub(crate) struct Serde<T>(pub(crate) T);

impl<T> From<Serde<T>> for Value {
    fn from(_: Serde<T>) -> Self {
        Self
    }
}

impl From<BTreeMap<&'static str, String>> for Value {
    fn from(_: BTreeMap<&'static str, String>) -> Self {
        Self
    }
}

macro_rules! context {
    ($($anything:tt)*) => {
        $crate::wire::page::Value
    };
}
pub(crate) use context;

#[derive(Debug, Clone, Copy)]
pub(crate) struct Again;

#[derive(Debug, Clone, Copy)]
pub(crate) struct HasForm;

impl Error {
    pub(crate) fn in_form(self, _: &'static str, _: &'static str, _: Value) -> Response {
        self.into_response()
    }
}

pub(crate) struct Pages;

impl Pages {
    pub(crate) fn new(_: &Settings, _: &[(&'static str, &'static str)], _: &Language, _: &str) -> Self {
        Self
    }

    pub(crate) fn complete(&self, _: &mut Response) {}

    pub(crate) fn show(&self, _: &'static str, _: StatusCode, _: Value) -> Response {
        Error::NotFound.into_response()
    }

    pub(crate) fn error(
        &self,
        error: &Error,
        status: StatusCode,
        _: Option<Again>,
        _: Asked<'_>,
    ) -> Response {
        (status, Extension(Arc::new(error.clone()))).into_response()
    }

    pub(crate) fn two_sign_ins(
        &self,
        error: &Error,
        status: StatusCode,
        _: &str,
        asked: Asked<'_>,
    ) -> Response {
        self.error(error, status, None, asked)
    }

    pub(crate) fn error_elsewhere(
        &self,
        error: &Error,
        status: StatusCode,
        asked: Asked<'_>,
        _: &str,
    ) -> Response {
        self.error(error, status, None, asked)
    }
}
