//! The one sign-in. Every way to prove an identity ends here: in a session, or in a challenge for what is still needed.
//! A challenge is not a session, so no route can take it for a credential.

use doorward_core::OpaqueSecret;
use doorward_core::sign_in::{Authentication, Enrolled, Judgement, Methods, judge};
use http::HeaderMap;

use super::peer::Peer;
use super::presented_sessions;
use crate::acts::{Change, Done};
use crate::app::App;
use crate::audit::{Action, Entry};
use crate::challenges::{self, Data, NewChallenge, Purpose};
use crate::error::{Error, Pending, Result};
use crate::flow::{self, Fact, Label, Verb};
use crate::hooks::SigningIn;
use crate::sessions::{self, Beginner, Beginning, Begun, Issued, Look};
use crate::throttle::{Guess, Kind};
use crate::users::{Subject, User};

/// A person who has proved their identity, and wants to sign in.
#[derive(Debug)]
pub(crate) struct Proved {
    pub(crate) who: SigningIn,
    /// The methods of the proof.
    pub(crate) methods: Methods,
    pub(crate) way: Way,
    pub(crate) client: Peer,
    /// The guess that the proof was. The transaction that signs in gives it back.
    pub(crate) guess: Guess,
}

/// The account that they sign in to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// An existing account.
    Login,
    /// The account that the same act makes. The application was asked before its password was hashed.
    Register,
}

impl Way {
    fn action(self) -> Action {
        match self {
            Self::Login => Action::Login,
            Self::Register => Action::Register,
        }
    }
}

/// The account, as the act that signs in has read it.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) user: User,
    pub(crate) subject: Subject,
    pub(crate) enrolled: Enrolled,
    /// What the session must know of the user: asked for together with the lock of their row.
    pub(crate) look: Look,
}

/// The result of a sign-in.
pub(crate) enum Step {
    /// A session began.
    Done(Issued),
    /// One of these is still needed, and this challenge waits for it. There is no session.
    Next(Pending),
}

impl Step {
    /// The credential.
    ///
    /// # Errors
    /// [`Error::SecondFactorRequired`].
    pub(crate) fn done(self) -> Result<Issued> {
        match self {
            Self::Done(issued) => Ok(issued),
            Self::Next(pending) => Err(Error::SecondFactorRequired(pending)),
        }
    }
}

/// What began within the act.
enum Began {
    Session(Begun),
    Challenge(Methods),
}

/// A sign-in whose transaction was committed.
struct Committed {
    user: User,
    began: Began,
    beginning: Beginning,
    /// The handle of the challenge, if there is one.
    handle: OpaqueSecret,
}

/// Signs in a person who has proved their identity. `open` finds the account or makes it within the act. Its writes,
/// its refusals, the session and giving back the guess are one transaction.
///
/// # Errors
/// [`Error::TooManyAttempts`], the application's refusal, those of `open`, or an internal failure.
pub(crate) async fn sign_in<F>(
    app: &App,
    headers: &HeaderMap,
    proved: Proved,
    open: F,
) -> Result<(User, Step)>
where
    F: AsyncFn(&mut Change<'_>, &Beginning) -> Result<Opened> + Send + Sync + 'static,
{
    let (who, way, guess) = (proved.who.clone(), proved.way, proved.guess.clone());
    let Committed { user, began, beginning, handle } = match commit(app, headers, proved, open).await {
        Ok(committed) => {
            app.throttle.given_back(&guess);
            committed
        }
        Err(error) => {
            app.throttle.give_back(guess).await;
            return Err(error);
        }
    };
    let begun = match began {
        Began::Session(begun) => begun,
        Began::Challenge(factors) => {
            return Ok((user, Step::Next(Pending { handle: handle.to_text(), factors })));
        }
    };
    let issued = app.sessions.issue(&beginning, &begun);
    let who = SigningIn { role: user.role, email_vouched_by: user.email_vouched_by, ..who };
    match way {
        Way::Login => app.hooks.logged_in(who).await,
        Way::Register => app.hooks.registered(who).await,
    }
    Ok((user, Step::Done(issued?)))
}

async fn commit<F>(app: &App, headers: &HeaderMap, proved: Proved, open: F) -> Result<Committed>
where
    F: AsyncFn(&mut Change<'_>, &Beginning) -> Result<Opened> + Send + Sync + 'static,
{
    let Proved { who, methods, way, client, guess } = proved;
    if way == Way::Login {
        app.throttle.act(Kind::SignIn, who.user, app.now())?;
        app.hooks.may_log_in(&who).await?;
    }
    let replaced = presented_sessions::by_cookies(app, headers).await?;
    let from = sessions::Origin { ip: client.ip, user_agent: client.user_agent, device: client.device };
    let authentication = Authentication { at: app.now(), methods };
    let beginner = Beginner { user: who.user, mode: who.mode, authentication, action: way.action() };
    let beginning = app.sessions.prepare(beginner, from, replaced).await?;
    let challenge = waiting(&who, authentication);
    let handle = challenge.secret.clone();
    let session = beginning.clone();
    let change = async move |change: &mut Change<'_>| -> Result<Done<(User, Began)>> {
        let Opened { user, subject, enrolled, look } = open(change, &session).await?;
        let judgement = judge(authentication.methods, enrolled);
        change.note(|| {
            let step = flow::Step::check(Verb::JudgeProof, matches!(judgement, Judgement::Done(_)));
            step.fact(Fact::seen(Label::Methods, &authentication.methods.to_string()))
        });
        let done = match judgement {
            Judgement::Done(enough) => {
                let begun = sessions::begin(change, subject, enough, &session, look).await?;
                begun.map(|begun| (user, Began::Session(begun)))
            }
            Judgement::Next(factors) => {
                challenges::make(change, &challenge).await?;
                let entry = Entry::of(Action::LoginPending).user(user.id);
                Done::new((user, Began::Challenge(factors)), entry)
            }
        };
        // Last, since other sign-ins from this network wait for these rows.
        guess.give_back(change)?;
        Ok(done)
    };
    let (user, began) = app.acts.commit(beginning.act(), change).await?;
    Ok(Committed { user, began, beginning, handle })
}

/// The challenge of a sign-in that still needs something.
fn waiting(who: &SigningIn, authentication: Authentication) -> NewChallenge {
    let data = Data { mode: Some(who.mode), proved: authentication.methods, ..Data::default() };
    NewChallenge::of(Purpose::SignIn, authentication.at).of_user(who.user).with(data)
}
