//! The express lane: frequent requests of programs are answered from memory, before the router. Each feature declares
//! which of its answers these are.

use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use http::Method;

use super::{Front, RequestContext};
use crate::error::Error;

impl<S> Front<S> {
    /// The answer to a program, if memory has it. A check that has to wait goes to the router.
    pub(super) fn express<B>(&self, context: &RequestContext, request: &Request<B>) -> Option<Response> {
        let uri = request.uri();
        if context.method != Method::GET || context.kind.is_browser() || uri.query().is_some() {
            return None;
        }
        let at = self.paths.express.iter().position(|path| path == uri.path())?;
        match self.app.guard.check_in_memory(request.headers())? {
            Ok(identity) => {
                let user = self.app.users.find_in_memory(identity.user)?;
                Some(self.app.headers.json(user.ready.get(at)?.clone()))
            }
            Err(refusal) => Some(Error::Refused(refusal).into_response()),
        }
    }
}
