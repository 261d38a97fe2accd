//! `doorward restored`: makes a restored database safe.

use clap::Args;
use doorward::internals::users::rfc3339;
use serde_json::json;

use super::{Outcome, with_app};
use crate::output::Answer;
use crate::place::Place;

/// After a restore, before the first start: end every session, replace the signing keys, void every link
///
/// What happened since the backup is unknown: who logged out, whose password or role changed, which links were used. So
/// everybody signs in again. Accounts, passwords and roles are as they were at the time of the backup.
#[derive(Debug, Args)]
pub(crate) struct Restored {
    /// Keep sessions, keys and links: only if you know that the database has lost nothing
    #[arg(long)]
    keep_sessions: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Restored {
    pub(crate) async fn run(self, place: &Place) -> Outcome {
        with_app(place, async |app| {
            let done = app.restored(self.keep_sessions).await?;
            let last_act = done.last_act.map(rfc3339);
            if self.json {
                return Answer::json(&json!({
                    "last_act": last_act,
                    "users": done.users,
                    "sessions_ended": done.ended,
                    "kid": done.kid,
                    "sessions_kept": self.keep_sessions,
                }));
            }
            let last_act = last_act.map_or_else(
                || "The database has no entry in its audit log.".to_owned(),
                |at| format!("The last act in the database is of {at}; what came later is lost."),
            );
            let users = format!("{} accounts are back, with passwords, roles and addresses of then.", done.users);
            let sessions = match (self.keep_sessions, done.kid) {
                (true, _) => "Sessions, keys and links were kept.".to_owned(),
                (false, Some(kid)) => format!(
                    "{} sessions were ended, and every link is void. The key {kid} signs from now on; no other counts.",
                    done.ended
                ),
                (false, None) => format!(
                    "{} sessions were ended, and every link is void. Change JWT_SECRET: it signed tokens that are still good.",
                    done.ended
                ),
            };
            Ok(Answer::text(format!("{last_act}\n{users}\n{sessions}\nServers may start now.")))
        })
        .await
    }
}
