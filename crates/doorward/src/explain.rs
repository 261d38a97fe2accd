//! Why a token is accepted or refused: each check in its order, then what the store says of its session, in words.
//! `doorward token explain` and `/inspect` show the same.

use doorward_core::token::{AccessToken, Check, Decoded, Explanation, Verdict, in_words};
use doorward_core::{Mode, Refusal, Timestamp};
use serde_json::Value;

use crate::app::App;
use crate::audit;
use crate::error::Result;
use crate::sessions::Stored;
use crate::store::StoreError;
use crate::users::rfc3339;
use crate::wire::shape::shown;

shown! {
    /// One check of a token.
    pub struct CheckView as "TokenCheck" {
        /// Its short name.
        pub check: &'static str,
        /// `passed`, `failed` or `not reached`.
        pub verdict: &'static str,
        /// What was found; empty if it was not reached.
        pub detail: String,
        /// What holds for a token that passes.
        pub meaning: &'static str,
        /// What to do if it fails.
        pub advice: &'static str,
    }
}

shown! {
    /// A token, explained.
    pub struct Explained as "ExplainedToken" {
        /// Whether the server accepts it.
        pub accepted: bool,
        /// The code of the refusal.
        pub code: Option<&'static str>,
        /// The message of the refusal.
        pub message: Option<String>,
        /// The first check that failed.
        pub first_failure: Option<&'static str>,
        /// What to do about that.
        pub advice: Option<&'static str>,
        /// The last word: accepted or refused, and the first failure.
        pub verdict: String,
        /// What was taken for an access token, if it is something else.
        pub looks_like: Option<&'static str>,
        /// Every check, in order: those of the token, then those of the store.
        pub checks: Vec<CheckView>,
        /// When it was issued and when it expires, in sentences.
        pub times: Vec<String>,
        /// Seconds since `iat`, negative if it is in the future.
        pub age: Option<i64>,
        /// Seconds until `exp`, zero or negative if it has passed.
        pub remaining: Option<i64>,
        /// The server's clock, in milliseconds since 1970.
        pub now: u64,
        /// The header; null if it is not JSON.
        pub header: Value,
        /// The payload; null if it is not JSON.
        pub payload: Value,
    }
}

/// What a check is called, what holds if it passes, and what to do if it fails.
#[derive(Clone, Copy)]
struct Question {
    name: &'static str,
    meaning: &'static str,
    advice: &'static str,
}

const SESSION: Question =
    Question { name: "session", meaning: "The session of `sid` is live.", advice: "Sign in again." };
const USER: Question = Question {
    name: "user",
    meaning: "The user of `sub` exists and is enabled.",
    advice: "Ask an admin to enable the account, and sign in again.",
};
const VERSION: Question = Question {
    name: "version",
    meaning: "`ver` is not below the least version that the user's tokens may have.",
    advice: "Refresh, and repeat the request with the new token.",
};

impl CheckView {
    fn of(question: Question, verdict: Verdict, detail: String) -> Self {
        let Question { name: check, meaning, advice } = question;
        let verdict = match verdict {
            Verdict::Passed => "passed",
            Verdict::Failed => "failed",
            Verdict::NotReached => "not reached",
        };
        Self { check, verdict, detail, meaning, advice }
    }

    fn of_token(check: Check, verdict: Verdict, detail: String) -> Self {
        let question = Question { name: check.name(), meaning: check.meaning(), advice: check.advice() };
        Self::of(question, verdict, detail)
    }
}

/// Explains a token as this server sees it now.
///
/// # Errors
/// The store's, or [`Refusal::Unavailable`].
pub async fn explain(app: &App, token: &str) -> Result<Explained> {
    let now = app.now();
    let explanation = app.keys.verifier().explain(token, now);
    let steps = explanation.steps.iter();
    let mut checks: Vec<_> =
        steps.map(|step| CheckView::of_token(step.check, step.verdict, step.detail.clone())).collect();
    checks.extend(in_store(app, token).await?);
    let refusal = match explanation.outcome {
        Err(refusal) => Some(refusal),
        Ok(_) => judge(app, token).await.err(),
    };
    if let Some(Refusal::Unavailable) = refusal {
        return Err(Refusal::Unavailable.into());
    }
    let first = checks.iter().find(|shown| shown.verdict == "failed");
    let (first, advice) = (first.map(|shown| shown.check), first.map(|shown| shown.advice));
    let verdict = refusal.map_or_else(
        || "Accepted".to_owned(),
        |refusal| {
            let first = first.unwrap_or(SESSION.name);
            format!("Refused: {} ({refusal}); the first failure is: {first}", refusal.code())
        },
    );
    let (header, payload) = parts(&explanation.decoded);
    Ok(Explained {
        accepted: refusal.is_none(),
        code: refusal.map(Refusal::code),
        message: refusal.map(|refusal| refusal.to_string()),
        first_failure: first,
        advice,
        verdict,
        looks_like: explanation.looks_like.map(|kind| kind.text),
        times: times(&explanation, now),
        checks,
        age: explanation.age,
        remaining: explanation.remaining,
        now: now.as_millis(),
        header,
        payload,
    })
}

/// The server's verdict: signature and claims, then session and role from the store.
///
/// # Errors
/// Why it is refused.
pub async fn judge(app: &App, token: &str) -> Result<AccessToken, Refusal> {
    let verified = app.keys.verifier().verify(token, app.now())?;
    app.sessions.memory.confirm(verified, Mode::Bearer).await?;
    Ok(verified)
}

/// Header and payload as JSON; null if they are not JSON.
pub fn parts(decoded: &Decoded) -> (Value, Value) {
    let parsed = |text: &Option<String>| text.as_deref().and_then(|text| serde_json::from_str(text).ok());
    (parsed(&decoded.header).unwrap_or_default(), parsed(&decoded.payload).unwrap_or_default())
}

/// The token's times compared with this machine's clock.
fn times(explanation: &Explanation, now: Timestamp) -> Vec<String> {
    let at = |secs: i64| rfc3339(Timestamp::from_secs(now.as_secs().saturating_add(secs)));
    let issued = explanation.age.map(|age| {
        let (span, at) = (in_words(age.unsigned_abs()), at(age.saturating_neg()));
        match age {
            0.. => format!("Issued {span} ago, at {at}"),
            _ => {
                format!("Issued {span} in the future, at {at}: the clock of its maker is ahead of this one")
            }
        }
    });
    let expires = explanation.remaining.map(|left| {
        let (span, at) = (in_words(left.unsigned_abs()), at(left));
        if left > 0 { format!("Expires in {span}, at {at}") } else { format!("Expired {span} ago, at {at}") }
    });
    issued.into_iter().chain(expires).collect()
}

/// What the store says, if the signature is good: a token that anybody may have written causes no query.
async fn in_store(app: &App, token: &str) -> Result<Vec<CheckView>, StoreError> {
    let Ok(token) = app.keys.verifier().verify_ignoring_expiry(token, app.now()) else {
        let unseen = |question| CheckView::of(question, Verdict::NotReached, String::new());
        return Ok([SESSION, USER, VERSION].map(unseen).into());
    };
    let Some(stored) = app.sessions.stored(token.session, token.user).await? else {
        return no_session(app, token).await;
    };
    let session = match (stored.state.ended_at, &stored.end_reason) {
        (Some(at), reason) => {
            let reason = reason.as_deref().unwrap_or_default();
            (Verdict::Failed, ended(app, token, reason, at).await?)
        }
        (None, _) => (Verdict::Passed, live(app, &stored)),
    };
    let user = match stored.state.disabled_at {
        Some(at) => (Verdict::Failed, format!("disabled since {}", rfc3339(at))),
        None => (Verdict::Passed, "enabled".to_owned()),
    };
    let (version, least) = (token.version, stored.claims_version);
    let version = if version >= least {
        (Verdict::Passed, format!("{version}, and nothing that makes it stale came since"))
    } else {
        let role = stored.role;
        (
            Verdict::Failed,
            format!("{version}, and the user is at {least} now, with the role {role}: refresh it"),
        )
    };
    let rows = [(SESSION, session), (USER, user), (VERSION, version)];
    Ok(rows.map(|(question, (verdict, detail))| CheckView::of(question, verdict, detail)).into())
}

async fn no_session(app: &App, token: AccessToken) -> Result<Vec<CheckView>, StoreError> {
    let user = app.users.find(token.user).await?;
    let deleted_at = match user {
        Some(_) => None,
        None => app.revocations.raised_at(token.user).await?,
    };
    let session = match (app.revocations.reason(token.session).await?, deleted_at) {
        (Some((reason, at)), _) => ended(app, token, &reason, at).await?,
        (None, Some(at)) => ended(app, token, "deleted", at).await?,
        (None, None) => {
            "this database has no such session: it belongs to another one, or ended long ago".to_owned()
        }
    };
    let user = match user {
        Some(_) => CheckView::of(USER, Verdict::Passed, "exists".into()),
        None => CheckView::of(USER, Verdict::Failed, "there is no such user".into()),
    };
    let version = CheckView::of(VERSION, Verdict::NotReached, String::new());
    Ok(vec![CheckView::of(SESSION, Verdict::Failed, session), user, version])
}

fn live(app: &App, stored: &Stored) -> String {
    let (mode, until) = (stored.mode, rfc3339(stored.state.expires_at));
    let state = if stored.state.expires_at > app.now() {
        "live; unless it is used it ends"
    } else {
        "not used in time; it ended"
    };
    format!("{state} {until}; mode {mode}")
}

/// Who ended the session of a token, and when. The audit log knows which admin or client it was.
async fn ended(
    app: &App,
    token: AccessToken,
    reason: &str,
    ended_at: Timestamp,
) -> Result<String, StoreError> {
    let at = rfc3339(ended_at);
    let action = match reason {
        "ended_by_admin" => Some("sessions_ended"),
        "revoked" => Some("token_revoked"),
        "disabled" | "password_changed" => Some("user_changed"),
        _ => None,
    };
    let by = match action {
        Some(action) => audit::who(&app.store, token.user, action, ended_at).await?,
        None => None,
    };
    match (reason, &by) {
        ("ended_by_admin", Some(by)) => return Ok(format!("ended {at}: {by} ended it")),
        ("revoked", Some(by)) => return Ok(format!("ended {at}: {by} revoked its token")),
        _ => {}
    }
    let what = match reason {
        "logout" => "its owner logged out",
        "ended_by_user" => "its owner ended it, from another device or everywhere",
        "replaced" => "a new sign-in of the same client took its place",
        "too_many" => "its user had too many; it was the oldest",
        "password_changed" => "the password was changed",
        "refresh_reused" => "a refresh token was used twice: somebody else may have it",
        "disabled" => "the account was disabled",
        "deleted" => "the account was deleted",
        "revoked" => "a registered client revoked its token",
        "ended_by_admin" => "an admin or the command line ended it",
        "restored" => "the database was restored from a backup",
        "recovered" => "it had ended, and the database had lost that",
        other => other,
    };
    Ok(by.map_or_else(|| format!("ended {at}: {what}"), |by| format!("ended {at}: {what}, by {by}")))
}
