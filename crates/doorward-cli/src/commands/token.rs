//! `doorward token`: what an access token says, and why it is accepted or refused.

use clap::{Args, Subcommand};
use doorward::internals::App;
use doorward::internals::explain::{judge, parts};
use doorward_core::Refusal;
use doorward_core::token::{self, AccessToken, Decoded, MAX_LENGTH};
use serde_json::json;

use super::token_explain::{self, pretty};
use super::{Outcome, with_app};
use crate::failure::Failure;
use crate::output::Answer;
use crate::password::first_line;
use crate::place::Place;

#[derive(Debug, Subcommand)]
pub(crate) enum Token {
    /// Print what a token says, without any check of who wrote it
    Decode(One),
    /// Say whether a token is accepted, session and role included; exit code 1 if it is refused
    Verify(One),
    /// Tell check by check why a token is accepted or refused
    Explain(One),
}

#[derive(Debug, Args)]
pub(crate) struct One {
    /// The access token, or - to read it from standard input
    #[arg(allow_hyphen_values = true)]
    token: String,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Token {
    pub(crate) fn run(self, place: &Place) -> Outcome {
        match self {
            Self::Decode(one) => decode(&one.text()?, one.json),
            Self::Verify(one) => {
                let token = one.text()?;
                super::wait_for(with_app(place, async |app| verify(app, &token, one.json).await))
            }
            Self::Explain(one) => {
                let token = one.text()?;
                super::wait_for(with_app(place, async |app| {
                    token_explain::explain(app, &token, one.json).await
                }))
            }
        }
    }
}

impl One {
    fn text(&self) -> Result<String, Failure> {
        if self.token == "-" {
            return Ok(first_line(64 * 1024)?.trim().to_owned());
        }
        Ok(self.token.trim().to_owned())
    }
}

fn decode(token: &str, json: bool) -> Outcome {
    let decoded = token::decode(token);
    if decoded == Decoded::default() {
        let what = token::recognise(token).map(|kind| kind.text.to_owned());
        let problem = what.unwrap_or_else(|| {
            format!(
                "this is no token: neither part of it is base64url of JSON, or it has over {MAX_LENGTH} bytes"
            )
        });
        return Err(Failure::new(problem, "a token has three parts with dots between them"));
    }
    let (header, payload) = parts(&decoded);
    if json {
        return Answer::json(&json!({ "header": header, "payload": payload }));
    }
    Ok(Answer::text(format!("{}\n{}", pretty("Header", &header), pretty("Payload", &payload))))
}

async fn verify(app: &App, token: &str, json: bool) -> Outcome {
    match judge(app, token).await {
        Ok(good) => {
            let left = good.expires_at.as_secs() - app.now().as_secs();
            if json {
                let AccessToken { user, session, role, .. } = good;
                let fields = json!({ "valid": true, "user": user, "session": session, "role": role, "remaining": left });
                return Answer::json(&fields);
            }
            let AccessToken { user, session, role, .. } = good;
            let left = token::in_words(left.unsigned_abs());
            Ok(Answer::text(format!("good: user {user}, role {role}, session {session}, {left} left")))
        }
        Err(Refusal::Unavailable) => Err(Refusal::Unavailable.into()),
        Err(refusal) if json => {
            let body = json!({ "valid": false, "code": refusal.code(), "message": refusal.to_string() });
            Ok(Answer::json(&body)?.good(false))
        }
        Err(refusal) => Err(refusal.into()),
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        let hint =
            "`doorward token explain` tells check by check why; it needs the server's settings and secrets";
        Self::new(format!("{}: {refusal}", refusal.code()), hint)
    }
}
