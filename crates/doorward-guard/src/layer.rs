use std::mem;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use doorward_core::Refusal;
use http::{HeaderMap, Request, Response};
use tower_layer::Layer;
use tower_service::Service;

use crate::{Denied, Guard, Identity, Needs};

/// Puts the caller's [`Identity`] into the request's extensions, or answers with the refusal; made by [`Guard::layer`].
///
/// It wraps any tower service, so also those of hyper, tonic and axum. Whatever is outside of it can be reached without
/// a credential: put the layer that answers CORS preflights there, and health checks.
///
/// The cookie of the refresh token is for the server alone: the layer removes it from the request.
///
/// The body of the service's responses must implement `From<String>`, as axum's, `Full<Bytes>` and `String` do. For
/// other services, call [`Guard::check`] and [`Denied::response`] yourself.
#[derive(Clone)]
pub struct GuardLayer {
    guard: Guard,
    rule: Arc<Rule>,
}

#[derive(Clone, Default)]
struct Rule {
    optional: bool,
    needs: Vec<Needs>,
}

impl Guard {
    /// A tower layer that accepts the same callers as this guard.
    pub fn layer(&self) -> GuardLayer {
        GuardLayer { guard: self.clone(), rule: Arc::default() }
    }
}

impl GuardLayer {
    /// Also accepts callers without a credential, who get no identity. A bad credential is still refused.
    #[must_use]
    pub fn optional(mut self) -> Self {
        Arc::make_mut(&mut self.rule).optional = true;
        self
    }

    /// Refuses callers who don't meet this requirement: with 403, and without a credential with 401, also together with
    /// [`GuardLayer::optional`]. If there are several requirements, all must be met.
    #[must_use]
    pub fn require(mut self, needs: Needs) -> Self {
        Arc::make_mut(&mut self.rule).needs.push(needs);
        self
    }
}

impl<S> Layer<S> for GuardLayer {
    type Service = Guarded<S>;

    fn layer(&self, inner: S) -> Guarded<S> {
        Guarded { inner, guard: self.guard.clone(), rule: self.rule.clone() }
    }
}

/// A service behind a [`GuardLayer`].
#[derive(Clone)]
pub struct Guarded<S> {
    inner: S,
    guard: Guard,
    rule: Arc<Rule>,
}

impl<S, B, R> Service<Request<B>> for Guarded<S>
where
    S: Service<Request<B>, Response = Response<R>, Future: Send> + Clone + Send + 'static,
    B: Send + 'static,
    R: From<String>,
{
    type Response = Response<R>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Response<R>, S::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        // Keep the polled service, which is the one that is ready.
        let next = self.inner.clone();
        let mut inner = mem::replace(&mut self.inner, next);
        let (guard, rule) = (self.guard.clone(), self.rule.clone());
        Box::pin(async move {
            match judge(&guard, &rule, request.headers()).await {
                Ok(Some(identity)) => request.extensions_mut().insert(identity),
                Ok(None) => request.extensions_mut().remove(),
                Err(denied) => return Ok(denied.response()),
            };
            guard.strip(request.headers_mut());
            inner.call(request).await
        })
    }
}

async fn judge(guard: &Guard, rule: &Rule, headers: &HeaderMap) -> Result<Option<Identity>, Denied> {
    match guard.check(headers).await {
        Ok(identity) if rule.needs.iter().all(|needs| guard.allows(&identity, *needs)) => Ok(Some(identity)),
        Ok(_) => Err(Denied::Forbidden),
        Err(Refusal::TokenMissing) if rule.optional && rule.needs.is_empty() => Ok(None),
        Err(refusal) => Err(Denied::Refused(refusal)),
    }
}
