//! What an embedding application decides and does when people register and sign in.

use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use doorward_core::role::RoleName;
use doorward_core::token::AppClaims;
use doorward_core::{Mode, UserId};
use serde::Serialize;

use crate::error::{Cause, Error, Result};
use crate::flow::{self, Fact, Label, Step, Verb, note};
use crate::seldom::seldom;
pub use crate::users::VouchedBy;
pub use doorward_core::email::Email;

/// The longest message that a refusal shows, in bytes.
const LONGEST_MESSAGE: usize = 400;
const FAILED: &str = "a hook of the application failed";

/// The person who registers or signs in. The password is never passed on.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct SigningIn {
    /// The account, also before it is made.
    pub user: UserId,
    /// The name.
    pub name: String,
    /// The address, in canonical form, as its owner or somebody else wrote it.
    pub email: Email,
    /// Who vouched for the address. None before the account is made.
    pub email_vouched_by: Option<VouchedBy>,
    /// The role; before an account is made, one that an invitation may still replace.
    pub role: RoleName,
    /// How the client will hold its credential.
    pub mode: Mode,
    /// The address of the client.
    pub ip: IpAddr,
}

/// Why a hook refuses.
#[derive(Debug)]
pub struct Veto(Why);

#[derive(Debug)]
enum Why {
    Refused(String),
    Failed(String),
}

impl Veto {
    /// The application refuses: 403 `refused_by_application`, with this message for people.
    pub fn refuse(message: impl Into<String>) -> Self {
        let mut message: String = message.into();
        message.retain(|c| !c.is_control());
        message.truncate(message.floor_char_boundary(LONGEST_MESSAGE));
        if message.trim().is_empty() {
            message = "The application refuses this".into();
        }
        Self(Why::Refused(message))
    }
}

/// The application fails: 503 `unavailable`, and clients try again. So `?` does the right thing with any other error.
impl<E: std::error::Error> From<E> for Veto {
    fn from(error: E) -> Self {
        Self(Why::Failed(error.to_string()))
    }
}

type Running<O> = Pin<Box<dyn Future<Output = O> + Send>>;
type Hook<I, O> = Arc<dyn Fn(I) -> Running<O> + Send + Sync>;

/// What the application does when people register and sign in, by JSON or a form. Hooks do not run for accounts made by
/// an admin or the command line.
///
/// A hook that panics, or takes longer than [`Hooks::limit`], is aborted. If it runs before the act, the act is
/// refused: 503 `unavailable`.
///
/// ```
/// use doorward::hooks::{Hooks, Veto};
///
/// #[derive(serde::Serialize)]
/// struct Plan {
///     plan: &'static str,
/// }
///
/// let hooks = Hooks::new()
///     .before_register(|who| async move {
///         let ours = who.email.as_str().ends_with("@example.org");
///         if ours { Ok(()) } else { Err(Veto::refuse("Only people of example.org can register")) }
///     })
///     .claims(|_user| async { Ok(Plan { plan: "gold" }) })
///     .after_login(|who| async move { println!("{} is back", who.name) });
/// ```
#[derive(Clone)]
#[must_use]
pub struct Hooks {
    before_register: Option<Hook<SigningIn, Result<(), Veto>>>,
    after_register: Option<Hook<SigningIn, ()>>,
    before_login: Option<Hook<SigningIn, Result<(), Veto>>>,
    after_login: Option<Hook<SigningIn, ()>>,
    claims: Option<Hook<UserId, Result<AppClaims, Veto>>>,
    limit: Duration,
}

impl Default for Hooks {
    fn default() -> Self {
        Self {
            before_register: None,
            after_register: None,
            before_login: None,
            after_login: None,
            claims: None,
            limit: Duration::from_secs(5),
        }
    }
}

impl Hooks {
    /// None yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// May refuse an account, after the limits and before any other work. It is not yet known whether the address is
    /// taken, so the answer doesn't reveal that.
    pub fn before_register<F, R>(mut self, hook: F) -> Self
    where
        F: Fn(SigningIn) -> R + Send + Sync + 'static,
        R: Future<Output = Result<(), Veto>> + Send + 'static,
    {
        self.before_register = Some(boxed(hook));
        self
    }

    /// Called after an account was made, before the answer goes out. It can't undo the account, and is never called if
    /// the process dies in between.
    pub fn after_register<F, R>(mut self, hook: F) -> Self
    where
        F: Fn(SigningIn) -> R + Send + Sync + 'static,
        R: Future<Output = ()> + Send + 'static,
    {
        self.after_register = Some(boxed(hook));
        self
    }

    /// May refuse a sign-in, only after the right password, so that it reveals nothing about other people's accounts.
    pub fn before_login<F, R>(mut self, hook: F) -> Self
    where
        F: Fn(SigningIn) -> R + Send + Sync + 'static,
        R: Future<Output = Result<(), Veto>> + Send + 'static,
    {
        self.before_login = Some(boxed(hook));
        self
    }

    /// Called after a sign-in, as [`Hooks::after_register`] is after a registration.
    pub fn after_login<F, R>(mut self, hook: F) -> Self
    where
        F: Fn(SigningIn) -> R + Send + Sync + 'static,
        R: Future<Output = ()> + Send + 'static,
    {
        self.after_login = Some(boxed(hook));
        self
    }

    /// Returns the claim `app` for this user's access tokens: a struct or map of at most 256
    /// bytes as JSON, or `None`. It is called for each token: at a sign-in (for a new account before it is made) and at
    /// every refresh. It may refuse there too. In session mode there are no tokens. A handler reads the claims with
    /// `Claims<T>`.
    pub fn claims<F, R, C>(mut self, hook: F) -> Self
    where
        F: Fn(UserId) -> R + Send + Sync + 'static,
        R: Future<Output = Result<C, Veto>> + Send + 'static,
        C: Serialize + 'static,
    {
        let hook = Arc::new(hook);
        self.claims = Some(boxed(move |user| {
            let hook = hook.clone();
            async move {
                let asked = hook(user).await?;
                Ok(AppClaims::new(&asked)?)
            }
        }));
        self
    }

    /// How long one hook may take; the default is 5 seconds.
    pub fn limit(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    pub(crate) async fn may_register(&self, who: &SigningIn) -> Result<()> {
        self.ask("before_register", self.before_register.as_ref(), who.clone()).await
    }

    pub(crate) async fn may_log_in(&self, who: &SigningIn) -> Result<()> {
        self.ask("before_login", self.before_login.as_ref(), who.clone()).await
    }

    pub(crate) async fn registered(&self, who: SigningIn) {
        self.tell("after_register", self.after_register.as_ref(), who).await;
    }

    pub(crate) async fn logged_in(&self, who: SigningIn) {
        self.tell("after_login", self.after_login.as_ref(), who).await;
    }

    pub(crate) async fn claims_of(&self, user: UserId) -> Result<AppClaims> {
        self.ask("claims", self.claims.as_ref(), user).await
    }

    /// The result of a hook; the default if there is none.
    async fn ask<I, O: Default + Send + 'static>(
        &self,
        name: &'static str,
        hook: Option<&Hook<I, Result<O, Veto>>>,
        input: I,
    ) -> Result<O> {
        let Some(hook) = hook else { return Ok(O::default()) };
        let failed = |why: &str| Error::Unavailable(Cause::new(FAILED, name, why));
        let started = flow::started();
        let said = self.run(hook, input).await;
        note(|| {
            let step = Step::check(Verb::AskApplication, matches!(said, Ok(Ok(_)))).since(started);
            step.fact(Fact::text(Label::Hook, name))
        });
        match said.map_err(failed)? {
            Ok(said) => Ok(said),
            Err(Veto(Why::Refused(message))) => Err(Error::RefusedByApplication(message)),
            Err(Veto(Why::Failed(error))) => Err(failed(&error)),
        }
    }

    async fn tell<I>(&self, name: &'static str, hook: Option<&Hook<I, ()>>, input: I) {
        let Some(hook) = hook else { return };
        let (started, done) = (flow::started(), self.run(hook, input).await);
        note(|| Step::of(Verb::TellApplication).since(started).fact(Fact::text(Label::Hook, name)));
        if let Err(why) = done {
            seldom!(ERROR, "a hook of the application failed"[name], why);
        }
    }

    /// In a task of its own, where a panic, or code that blocks its thread, affects only this one hook.
    async fn run<I, O: Send + 'static>(&self, hook: &Hook<I, O>, input: I) -> Result<O, &'static str> {
        let mut running = tokio::spawn(hook(input));
        match tokio::time::timeout(self.limit, &mut running).await {
            Ok(Ok(said)) => Ok(said),
            Ok(Err(_)) => Err("it panicked"),
            Err(_) => {
                running.abort();
                Err("it took too long")
            }
        }
    }
}

/// The task also contains the call of the hook, not only the future that it returns.
fn boxed<I, O, F, R>(hook: F) -> Hook<I, O>
where
    I: Send + 'static,
    F: Fn(I) -> R + Send + Sync + 'static,
    R: Future<Output = O> + Send + 'static,
{
    let hook = Arc::new(hook);
    Arc::new(move |input| {
        let hook = hook.clone();
        Box::pin(async move { hook(input).await })
    })
}
