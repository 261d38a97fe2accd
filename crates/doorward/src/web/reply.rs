//! The reply to a request that both a form and a program may send. The form gets a page or a redirect, or itself again
//! with what was wrong; the program gets JSON.

use std::ops::ControlFlow::{self, Break, Continue};

use axum::response::{IntoResponse, Response};

use super::body::Sent;
use super::caller::Caller;
use super::confirm;
use super::credential::go;
use crate::app::App;
use crate::error::{Error, Result};
use crate::wire::ack::Ack;
use crate::wire::client_kind::ClientKind;
use crate::wire::page::{Value, context};

/// Begins the reply. Each step handles one case, and passes on what is left: [`Reply::json`] programs, [`ToForm::page`]
/// or [`ToForm::goes`] a form that did its work, [`Refused::again`] a form that was refused.
pub(crate) fn form_or_json<T>(sent: &Sent, outcome: Result<T>) -> Reply<'_, T> {
    Reply { sent, outcome }
}

/// The answer to an act without a body: a browser is redirected, a program gets JSON.
pub(crate) fn go_or_tell(app: &App, kind: ClientKind, place: &str, ack: Ack) -> Response {
    if kind.is_browser() { go(app, place) } else { ack.into_response() }
}

/// Nothing is answered yet.
pub(crate) struct Reply<'s, T> {
    sent: &'s Sent,
    outcome: Result<T>,
}

/// Programs have their answer.
pub(crate) struct ToForm<'s, T> {
    sent: &'s Sent,
    left: ControlFlow<Result<Response>, Result<T>>,
}

/// Everything has its answer except a form that was refused.
pub(crate) struct Refused<'s> {
    sent: &'s Sent,
    left: ControlFlow<Result<Response>, Error>,
}

impl<'s, T> Reply<'s, T> {
    /// The answer to a program.
    pub(crate) fn json<R: IntoResponse>(self, json: impl FnOnce(T) -> R) -> ToForm<'s, T> {
        let left = match self.outcome {
            outcome if self.sent.is_form => Continue(outcome),
            outcome => Break(outcome.map(|done| json(done).into_response())),
        };
        ToForm { sent: self.sent, left }
    }
}

impl<'s, T> ToForm<'s, T> {
    /// The page that answers a form.
    pub(crate) async fn page(self, page: impl AsyncFnOnce(T) -> Result<Response>) -> Refused<'s> {
        let left = match self.left {
            Continue(Ok(done)) => Break(page(done).await),
            Continue(Err(error)) => Continue(error),
            Break(answer) => Break(answer),
        };
        Refused { sent: self.sent, left }
    }

    /// The redirect that answers a form.
    pub(crate) fn goes<R: IntoResponse>(self, on: impl FnOnce(T) -> R) -> Refused<'s> {
        let left = match self.left {
            Continue(Ok(done)) => Break(Ok(on(done).into_response())),
            Continue(Err(error)) => Continue(error),
            Break(answer) => Break(answer),
        };
        Refused { sent: self.sent, left }
    }
}

impl Refused<'_> {
    /// Asks for the current password, if that is what was missing or wrong: the page sends the form again. `purpose` is
    /// the code of the text that says what the form does; `back` is the way out.
    pub(crate) async fn confirmed(
        self,
        app: &App,
        caller: &Caller,
        purpose: &'static str,
        back: &str,
    ) -> Self {
        let left = match self.left {
            Continue(error) if confirm::mends(&error) => {
                let shown = confirm::shown(app, caller, self.sent).await;
                let page = |shown| context! { purpose, back, ..shown };
                Break(shown.map(|shown| error.in_form(confirm::PAGE, "confirm", page(shown))))
            }
            left => left,
        };
        Self { left, ..self }
    }

    /// The page with the form again, what was wrong, and what the page shows. Without the page there is still the error.
    pub(crate) async fn again(
        self,
        template: &'static str,
        form: &'static str,
        page: impl AsyncFnOnce() -> Result<Value>,
    ) -> Result<Response> {
        match self.left {
            Break(answer) => answer,
            Continue(error) => match page().await {
                Ok(context) => Ok(error.in_form(template, form, context)),
                Err(_) => Err(error),
            },
        }
    }
}
