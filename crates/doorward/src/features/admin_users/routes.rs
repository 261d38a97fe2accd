//! The descriptions of the admin routes.

use std::time::Duration;

use doorward_core::role::{RoleName, permission};
use doorward_core::{ClientId, LinkId, OpaqueSecret, SessionId};
use serde_json::{Value, json};

use super::http::{
    Changes, NewUser, change, create, delete, end_sessions, find, list, reset_link, sessions_of,
};
use super::{ListedSession, ListedUser, Place};
use super::{clients, invitations, records};
use crate::audit;
use crate::clients::ClientView;
use crate::error::Error;
use crate::invitations::ListedInvitation;
use crate::sessions::SessionView;
use crate::web::api::Who::May;
use crate::web::api::{Description, Routes, describe};
use crate::web::confirm::Confirming;
use crate::wire::ack::Ack;
use crate::wire::shape::{Shape, described, exactly, object, of};

pub(crate) fn routes() -> Routes {
    users().merge(links()).merge(sessions_and_log()).merge(registered_clients())
}

fn users() -> Routes {
    use permission::{USERS_READ, USERS_WRITE};
    let user = || ("user", of::<ListedUser>());
    let changed = || object([("success", exactly(true)), user()]);
    let list_doc = page::<ListedUser, Place>("List users", USERS_READ, "users", "by id; of a search, those first whose names or addresses begin with the text, in that order")
        .more("A page of a search looks at no more than 10,000 users, so it may have fewer rows than `limit`, or none: go on while `next` isn't null.")
        .query("search", of::<&str>(), "A part of the name or address, at most 200 bytes. Case and Unicode form don't matter.")
        .query("role", of::<RoleName>(), "Only this role.")
        .flashes()
        .page(200, "the same for a browser");
    let create_doc = describe("Make a user", May(USERS_WRITE))
        .more("Without a password, a reset link lets the user in. A confirmation is needed for a password, and for a role that may do as much as the caller or change users.")
        .body::<NewUser>()
        .json(201, "made", changed())
        .goes("after a form, to the user's page")
        .refuses([Error::EmailTaken]);
    let create_doc = confirmed(create_doc);
    let change_doc = describe("Change a user", May(USERS_WRITE))
        .without_room()
        .more("Callers can't give a role that may do more than they, or change a user with one. Their own address is changed in the profile. A confirmation is needed for an address, and for the role or access of a user who may do as much as the caller or change users.")
        .body::<Changes>()
        .json(200, "changed", changed())
        .goes("after a form, to the user's page")
        .refuses([Error::NotFound, Error::EmailTaken, Error::LastAdmin, Error::NoRoom]);
    let change_doc = confirmed(change_doc);
    let delete_doc = describe("Delete a user", May(USERS_WRITE))
        .more("A user who may do as much as the caller, or change users, needs a confirmation. The caller's own account is deleted in the profile.")
        .body::<Confirming>()
        .json(200, "deleted", Ack::shape("User deleted"))
        .goes("after a form, to /admin/users")
        .refuses([Error::NotFound, Error::LastAdmin]);
    let delete_doc = confirmed(delete_doc);
    let find_doc = describe("Show a user", May(USERS_READ))
        .flashes()
        .json(200, "the user", object([user()]))
        .page(200, "the same for a browser");
    Routes::of("Administration")
        .get("/admin/users", list, list_doc)
        .post("/admin/users", create, create_doc)
        .get("/admin/users/{id}", find, find_doc.refuses([Error::NotFound]))
        .patch("/admin/users/{id}", change, change_doc.clone())
        .post("/admin/users/{id}", change, change_doc)
        .delete("/admin/users/{id}", delete, delete_doc.clone())
        .post("/admin/users/{id}/delete", delete, delete_doc)
}

fn links() -> Routes {
    use permission::{USERS_READ, USERS_WRITE};
    let link_doc = describe("Make a link to reset a user's password", May(USERS_WRITE))
        .more("Needs a confirmation. The caller's own password is changed in the profile.")
        .body::<Confirming>()
        .json(200, "the link, good for an hour and one use", link(false))
        .page(200, "the same for a browser")
        .refuses([Error::NotFound]);
    let link_doc = confirmed(link_doc);
    let invite_doc = describe("Make an invitation to register", May(USERS_WRITE))
        .more("For one address, or for anybody. A role that may do as much as the caller, or change users, needs a confirmation.")
        .body::<invitations::Invitation>()
        .json(201, "the link, good for seven days and one use", link(true))
        .page(201, "the same for a browser");
    let invite_doc = confirmed(invite_doc);
    let list_doc = page::<ListedInvitation, LinkId>(
        "List the unused invitations",
        USERS_READ,
        "invitations",
        "the oldest first",
    )
    .flashes()
    .page(200, "the same for a browser");
    let withdraw_doc = describe("Withdraw an invitation", May(USERS_WRITE))
        .json(200, "withdrawn", Ack::shape("Invitation withdrawn"))
        .goes("after a form, to /admin/invitations")
        .refuses([Error::NotFound]);
    Routes::of("Administration")
        .post("/admin/users/{id}/reset-link", reset_link, link_doc)
        .get("/admin/invitations", invitations::list, list_doc)
        .post("/admin/invitations", invitations::invite, invite_doc)
        .delete("/admin/invitations/{id}", invitations::withdraw, withdraw_doc.clone())
        .post("/admin/invitations/{id}/withdraw", invitations::withdraw, withdraw_doc)
}

/// The current password, if it is asked for, counts as a guess.
fn confirmed(description: Description) -> Description {
    description.refuses([
        Error::ConfirmationRequired,
        Error::WrongPassword,
        Error::TooManyAttempts(Duration::ZERO),
    ])
}

fn sessions_and_log() -> Routes {
    use permission::{AUDIT_READ, SESSIONS_END, SESSIONS_READ};
    let of_user_doc = describe("List a user's sessions", May(SESSIONS_READ))
        .json(200, "the live ones, the newest first", object([("sessions", of::<Vec<SessionView>>())]))
        .refuses([Error::NotFound]);
    let end_doc = describe("Sign a user out everywhere", May(SESSIONS_END))
        .without_room()
        .json(200, "ended", Ack::shape_of_sessions("Logged out from all devices"))
        .goes("after a form, to the user's page")
        .refuses([Error::NotFound]);
    let end_one_doc = describe("End a session", May(SESSIONS_END))
        .without_room()
        .json(200, "ended", Ack::shape("Session ended"))
        .goes("after a form, to /admin/sessions")
        .refuses([Error::NotFound]);
    let sessions_doc = page::<ListedSession, SessionId>(
        "List everybody's sessions",
        SESSIONS_READ,
        "sessions",
        "the newest first; a page has fewer than `limit` if most of the last 10,000 have expired",
    )
    .flashes()
    .page(200, "the same for a browser");
    let log_doc =
        page::<audit::AuditView, SessionId>("The audit log", AUDIT_READ, "entries", "the newest first")
            .page(200, "the same for a browser");
    Routes::of("Administration")
        .get("/admin/users/{id}/sessions", sessions_of, of_user_doc)
        .delete("/admin/users/{id}/sessions", end_sessions, end_doc.clone())
        .post("/admin/users/{id}/sessions/end", end_sessions, end_doc)
        .get("/admin/sessions", records::sessions, sessions_doc)
        .delete("/admin/sessions/{id}", records::end_session, end_one_doc.clone())
        .post("/admin/sessions/{id}/end", records::end_session, end_one_doc)
        .get("/admin/audit", records::log, log_doc)
}

fn registered_clients() -> Routes {
    use permission::{CLIENTS_READ, CLIENTS_WRITE};
    let list_doc = page::<ClientView, ClientId>(
        "List the registered clients",
        CLIENTS_READ,
        "clients",
        "the oldest first",
    )
    .flashes()
    .page(200, "the same for a browser");
    let secret = [
        ("success", exactly(true)),
        ("client_id", of::<ClientId>()),
        ("client_secret", of::<OpaqueSecret>()),
    ];
    let create_doc = describe("Register a client", May(CLIENTS_WRITE))
        .more("Needs a confirmation. The secret is in this answer and can't be shown again.")
        .body::<clients::NewClient>()
        .json(201, "registered", object(secret))
        .page(201, "the same for a browser");
    let delete_doc = describe("Delete a client", May(CLIENTS_WRITE))
        .more("Every server learns of it within a second, and ends its streams.")
        .json(200, "deleted", Ack::shape("Client deleted"))
        .goes("after a form, to /admin/clients")
        .refuses([Error::NotFound]);
    Routes::of("Administration")
        .get("/admin/clients", clients::list, list_doc)
        .post("/admin/clients", clients::create, confirmed(create_doc))
        .delete("/admin/clients/{id}", clients::delete, delete_doc.clone())
        .post("/admin/clients/{id}/delete", clients::delete, delete_doc)
}

/// A list in pages, each of which says where the next one begins.
fn page<T: Shape, Id: Shape>(
    summary: &'static str,
    permission: &'static str,
    name: &'static str,
    order: &'static str,
) -> Description {
    let limit = json!({ "type": "integer", "minimum": 1, "maximum": 200, "default": 50 });
    let next = described(of::<Option<Id>>(), "The `after` of the next page. Null on the last one.");
    describe(summary, May(permission))
        .query("after", of::<Id>(), "`next` of the page before.")
        .query("limit", limit, "How many at most.")
        .json(200, order, object([(name, of::<Vec<T>>()), ("next", next)]))
        .refuses([Error::InvalidInput(Vec::new())])
}

fn link(made: bool) -> Value {
    let link = [("url", of::<String>()), ("expires_at", of::<String>())];
    object(made.then(|| ("success", exactly(true))).into_iter().chain(link))
}
