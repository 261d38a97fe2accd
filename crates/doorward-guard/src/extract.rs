//! Extractors for axum.

use std::marker::PhantomData;
use std::ops::Deref;

use axum::extract::{FromRef, FromRequestParts, OptionalFromRequestParts};
use doorward_core::Refusal;
use http::request::Parts;
use serde::de::DeserializeOwned;

use crate::{Claims, Denied, Guard, Identity, Requirement};

impl<S: Send + Sync> FromRequestParts<S> for Identity
where
    Guard: FromRef<S>,
{
    type Rejection = Denied;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Denied> {
        Guard::from_ref(state).check(&parts.headers).await.map_err(Denied::Refused)
    }
}

impl<S: Send + Sync> OptionalFromRequestParts<S> for Identity
where
    Guard: FromRef<S>,
{
    type Rejection = Denied;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Option<Self>, Denied> {
        match Guard::from_ref(state).check(&parts.headers).await {
            Ok(identity) => Ok(Some(identity)),
            Err(Refusal::TokenMissing) => Ok(None),
            Err(refusal) => Err(Denied::Refused(refusal)),
        }
    }
}

/// A caller who meets a requirement. Other callers get 403 `forbidden`, or what [`Identity`] answers. Dereferences to
/// its [`Identity`].
///
/// ```
/// use doorward_guard::{Admin, Guard, Require};
///
/// async fn delete_everything(caller: Require<Admin>) -> String {
///     format!("{} did it", caller.user)
/// }
/// # let _: axum::Router<Guard> = axum::Router::new().route("/all", axum::routing::delete(delete_everything));
/// ```
///
/// The compiler refuses a type that defines no requirement, and names the missing line:
///
/// ```compile_fail,E0277
/// struct Editor;
///
/// async fn edit(caller: doorward_guard::Require<Editor>) {}
/// ```
pub struct Require<R: Requirement> {
    identity: Identity,
    met: PhantomData<R>,
}

impl<R: Requirement> Require<R> {
    /// The caller.
    pub fn identity(&self) -> Identity {
        self.identity
    }
}

impl<R: Requirement> Deref for Require<R> {
    type Target = Identity;

    fn deref(&self) -> &Identity {
        &self.identity
    }
}

impl<S: Send + Sync, R: Requirement> FromRequestParts<S> for Require<R>
where
    Guard: FromRef<S>,
{
    type Rejection = Denied;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Denied> {
        let guard = Guard::from_ref(state);
        let identity = guard.check(&parts.headers).await.map_err(Denied::Refused)?;
        if guard.allows(&identity, R::NEEDS) {
            Ok(Self { identity, met: PhantomData })
        } else {
            Err(Denied::Forbidden)
        }
    }
}

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Claims<T>
where
    Guard: FromRef<S>,
{
    type Rejection = Denied;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Denied> {
        Guard::from_ref(state).claims(&parts.headers).await.map_err(Denied::Refused)
    }
}
