//! A look at flows: outside of development mode each one is in the audit log.

use aws_lc_rs::digest::{SHA256, digest};

use crate::acts::{Act, Change, Done};
use crate::app::App;
use crate::audit::{Action, By, Entry};
use crate::error::Result;
use crate::web::dev::Viewer;
use crate::wire::peer::Peer;

/// An admin looked at recorded requests.
pub(super) const FLOWS_VIEWED: Action =
    Action::new("flows_viewed", "An admin looked at recorded requests; the detail says at which.");

/// Writes an entry before anything is shown: `what` was looked at. Equal looks in one minute share it, and are counted.
///
/// # Errors
/// The store's: a look that can't be recorded is refused.
pub(super) async fn audited(app: &App, viewer: &Viewer, peer: &Peer, what: String) -> Result<()> {
    let Viewer::Admin(caller, _) = viewer else { return Ok(()) };
    let (now, session) = (app.now(), caller.session);
    let minute = now.as_secs().div_euclid(60);
    let fold = digest(&SHA256, format!("{} {session} {minute} {what}", FLOWS_VIEWED.name).as_bytes());
    let fold = fold.as_ref().try_into().unwrap_or([0; 32]);
    let entry = Entry::of(FLOWS_VIEWED).session(session).detail(what).fold(fold);
    let change = async move |_: &mut Change<'_>| Ok::<_, crate::error::Error>(Done::new((), entry.clone()));
    app.acts.commit(Act::new(By::Admin(caller.user, peer.ip), now), change).await
}
