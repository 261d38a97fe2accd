//! `doorward token explain`: each check of a token in its order, then what the store says of its session.

use doorward::internals::App;
use doorward::internals::sessions::Stored;
use doorward::internals::users::rfc3339;
use doorward_core::token::{AccessToken, Decoded, Explanation, Verdict, in_words};
use doorward_core::{Mode, Refusal, Timestamp};
use serde::Serialize;
use serde_json::{Value, json};

use super::Outcome;
use crate::failure::Failure;
use crate::output::{Answer, Colour, coloured};

/// One check, as it is printed.
#[derive(Debug, Serialize)]
struct CheckView {
    check: &'static str,
    verdict: &'static str,
    detail: String,
}

impl CheckView {
    fn new(check: &'static str, verdict: Verdict, detail: String) -> Self {
        let verdict = match verdict {
            Verdict::Passed => "passed",
            Verdict::Failed => "failed",
            Verdict::NotReached => "not reached",
        };
        Self { check, verdict, detail }
    }

    fn line(&self) -> String {
        let (mark, colour) = match self.verdict {
            "passed" => ("✓", Colour::Green),
            "failed" => ("✗", Colour::Red),
            _ => ("–", Colour::Yellow),
        };
        let mark = coloured(mark, colour, &std::io::stdout());
        format!("{mark} {:<12}  {}", self.check, self.detail).trim_end().to_owned()
    }
}

pub(super) async fn explain(app: &App, token: &str, json: bool) -> Outcome {
    let explanation = app.keys.verifier().explain(token, app.now());
    let mut checks: Vec<CheckView> = explanation
        .steps
        .iter()
        .map(|step| CheckView::new(step.check.name(), step.verdict, step.detail.clone()))
        .collect();
    checks.extend(in_store(app, token).await?);
    let refusal = match explanation.outcome {
        Err(refusal) => Some(refusal),
        Ok(_) => judge(app, token).await.err(),
    };
    if refusal == Some(Refusal::Unavailable) {
        return Err(Refusal::Unavailable.into());
    }
    let first = checks.iter().find(|shown| shown.verdict == "failed").map(|shown| shown.check);
    if json {
        return as_json(&explanation, &checks, first, refusal);
    }
    let mut lines: Vec<_> = explanation.looks_like.into_iter().map(|what| format!("{what}\n")).collect();
    let (header, payload) = parts(&explanation.decoded);
    let shown = [("Header", header), ("Payload", payload)].into_iter().filter(|(_, part)| !part.is_null());
    lines.extend(shown.map(|(title, part)| pretty(title, &part)));
    if explanation.decoded != Decoded::default() {
        lines.push(String::new());
    }
    lines.extend(checks.iter().map(CheckView::line));
    lines.push(String::new());
    lines.extend(times(&explanation, app.now()));
    lines.push(match (refusal, first) {
        (None, _) => "Accepted".to_owned(),
        (Some(refusal), first) => {
            format!(
                "Refused: {} ({refusal}); the first failure is: {}",
                refusal.code(),
                first.unwrap_or("session")
            )
        }
    });
    Ok(Answer::text(lines.join("\n")).good(refusal.is_none()))
}

fn as_json(
    explanation: &Explanation,
    checks: &[CheckView],
    first: Option<&str>,
    refusal: Option<Refusal>,
) -> Outcome {
    let (header, payload) = parts(&explanation.decoded);
    let answer = Answer::json(&json!({
        "accepted": refusal.is_none(),
        "code": refusal.map(Refusal::code),
        "message": refusal.map(|refusal| refusal.to_string()),
        "first_failure": first,
        "looks_like": explanation.looks_like,
        "checks": checks,
        "age": explanation.age,
        "remaining": explanation.remaining,
        "header": header,
        "payload": payload,
    }))?;
    Ok(answer.good(refusal.is_none()))
}

/// The server's verdict: signature and claims, then session and role from the store.
pub(super) async fn judge(app: &App, token: &str) -> Result<AccessToken, Refusal> {
    let verified = app.keys.verifier().verify(token, app.now())?;
    app.sessions.memory.confirm(verified, Mode::Bearer).await?;
    Ok(verified)
}

/// Header and payload as JSON; null if they are not JSON.
pub(super) fn parts(decoded: &Decoded) -> (Value, Value) {
    let parsed = |text: &Option<String>| text.as_deref().and_then(|text| serde_json::from_str(text).ok());
    (parsed(&decoded.header).unwrap_or_default(), parsed(&decoded.payload).unwrap_or_default())
}

pub(super) fn pretty(title: &str, part: &Value) -> String {
    let text = serde_json::to_string_pretty(part).unwrap_or_default();
    // JSON may hold control characters of the upper range, which some terminals obey.
    let plain = text.replace(|c: char| c.is_control() && c != '\n', "\u{fffd}");
    format!("{title} {plain}")
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
async fn in_store(app: &App, token: &str) -> Result<Vec<CheckView>, Failure> {
    let Ok(token) = app.keys.verifier().verify_ignoring_expiry(token, app.now()) else {
        let unseen = |check| CheckView::new(check, Verdict::NotReached, String::new());
        return Ok(["session", "user", "version"].map(unseen).into());
    };
    let Some(stored) = app.sessions.stored(token.session, token.user).await? else {
        return no_session(app, token).await;
    };
    let session = match (stored.state.ended_at, &stored.end_reason) {
        (Some(at), reason) => (Verdict::Failed, ended(reason.as_deref().unwrap_or_default(), &rfc3339(at))),
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
    let rows = [("session", session), ("user", user), ("version", version)];
    Ok(rows.map(|(check, (verdict, detail))| CheckView::new(check, verdict, detail)).into())
}

async fn no_session(app: &App, token: AccessToken) -> Result<Vec<CheckView>, Failure> {
    let user = app.users.find(token.user).await?;
    let deleted_at = match user {
        Some(_) => None,
        None => app.revocations.raised_at(token.user).await?,
    };
    let session = match (app.revocations.reason(token.session).await?, deleted_at) {
        (Some((reason, at)), _) => ended(&reason, &rfc3339(at)),
        (None, Some(at)) => ended("deleted", &rfc3339(at)),
        (None, None) => {
            "this database has no such session: it belongs to another one, or ended long ago".to_owned()
        }
    };
    let user = match user {
        Some(_) => CheckView::new("user", Verdict::Passed, "exists".into()),
        None => CheckView::new("user", Verdict::Failed, "there is no such user".into()),
    };
    let version = CheckView::new("version", Verdict::NotReached, String::new());
    Ok(vec![CheckView::new("session", Verdict::Failed, session), user, version])
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

/// Who ended a session, and when.
fn ended(reason: &str, at: &str) -> String {
    let who = match reason {
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
        other => other,
    };
    format!("ended {at}: {who}")
}
