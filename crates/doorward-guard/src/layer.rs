use std::mem;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use doorward_core::Refusal;
use http::{HeaderMap, Request, Response};
use tower_layer::Layer;
use tower_service::Service;

use crate::{Denied, Guard, Identity, Needs};

/// Puts the [`Identity`] of the caller among the request's extensions, or answers with the refusal; made by
/// [`Guard::layer`].
///
/// It goes around any tower service, so around hyper's, tonic's and axum's too. What stands outside of it is reached
/// without a credential: put the layer that answers CORS preflights there, and health checks.
///
/// The refresh token's cookie is for the server alone: the layer takes it out of the request.
///
/// The body of the service's responses has to be made from a [`String`], as axum's, `Full<Bytes>` and `String` are. Around
/// others call [`Guard::check`] and [`Denied::response`] yourself.
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
    /// A tower layer that lets in the callers that this guard lets in.
    pub fn layer(&self) -> GuardLayer {
        GuardLayer { guard: self.clone(), rule: Arc::default() }
    }
}

impl GuardLayer {
    /// Lets callers without a credential in too, without an identity. A bad credential is still refused.
    #[must_use]
    pub fn optional(mut self) -> Self {
        Arc::make_mut(&mut self.rule).optional = true;
        self
    }

    /// Refuses callers who don't meet this: 403, and 401 without a credential, also together with
    /// [`GuardLayer::optional`]. Of several, all are needed.
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
        // The one that was polled is the one that is ready.
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
