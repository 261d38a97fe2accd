//! Every act is in the audit log with who did it and from which address, and is in force at once: here, and in another
//! process after its next look.

use std::collections::BTreeSet;
use std::time::Duration;

use doorward::internals::App;
use doorward::internals::accounts::{Actor, ImportedUser, UserChange};
use doorward::internals::admin_users;
use doorward::testing::{PASSWORD, Site, Visitor};
use doorward_core::role::RoleName;
use doorward_core::token::Algorithm;
use http::{Method, header};
use serde_json::{Value, json};

use super::{invitation, reset_link, resets};
use crate::reading::user;
use crate::rewound;

const HERS: [u8; 4] = [198, 51, 100, 1];
const OF_ADMIN: [u8; 4] = [198, 51, 100, 2];

/// The last entry of this action: who did it, and from where.
async fn last(site: &Site, action: &str) -> (String, Option<String>, Option<String>) {
    let entries = doorward::internals::audit::page(&site.app.store, None, 1_000, None).await.unwrap();
    let entries = serde_json::to_value(&entries).unwrap();
    let entry = entries.as_array().unwrap().iter().find(|entry| entry["action"] == action);
    let entry = entry.unwrap_or_else(|| panic!("no {action} in {entries}"));
    let text = |name: &str| entry[name].as_str().map(str::to_owned);
    (text("actor").unwrap(), text("actor_id"), text("ip"))
}

async fn signed_in(site: &Site, name: &str, ip: [u8; 4]) -> Visitor {
    let visitor = site.visitor().from(ip);
    let body = json!({ "email": format!("{name}@example.org"), "password": PASSWORD });
    visitor.post("/login", body).await.is_ok();
    visitor
}

/// Does something that leaves an entry of this action. Gives a copy of the credential that its user held before.
async fn acts(site: &Site, case: &str, n: usize) -> Visitor {
    let name = format!("ada{n}");
    let id = site.user(&name, RoleName::USER).await;
    let root = signed_in(site, "root", OF_ADMIN).await;
    // The last entry must be that of this act, not of an earlier one.
    site.clock.advance(Duration::from_secs(1));
    let ada = signed_in(site, &name, HERS).await;
    let before = ada.copy();
    match case.split_once(" by ").unwrap().1.split(' ').next().unwrap() {
        "admin" => by_admin(&root, case, &id).await,
        "command_line" | "server" => at_the_machine(site, case, (&id, &ada)).await,
        _ => by_the_user(site, case, (&name, &id, &ada)).await,
    }
    before
}

async fn by_the_user(site: &Site, case: &str, (name, id, ada): (&str, &str, &Visitor)) {
    let app = &site.app;
    match case {
        "register by owner" => {
            let body = json!({ "name": "New", "email": "new@example.org", "password": PASSWORD });
            site.visitor().from(HERS).post("/register", body).await.has_status(201);
        }
        "login by owner" => {}
        "login_pending by owner" => {
            crate::sign_in::enrol(site, id, "totp").await;
            let body = json!({ "email": format!("{name}@example.org"), "password": PASSWORD });
            site.visitor().from(HERS).post("/login", body).await.is_refused("second_factor_required");
        }
        "login_failed by visitor" => {
            let body = json!({ "email": format!("{name}@example.org"), "password": "not the password" });
            site.visitor().from(HERS).post("/login", body).await.is_refused("invalid_credentials");
        }
        "logout by owner" => drop(ada.post("/logout", Value::Null).await.is_ok()),
        "logout by owner elsewhere" => {
            let other = signed_in(site, name, HERS).await.session_id().await;
            ada.delete(&format!("/sessions/{other}"), Value::Null).await.is_ok();
        }
        "logout_all by owner" => drop(ada.post("/logout/all", Value::Null).await.is_ok()),
        "logout_all by owner for others" => {
            signed_in(site, name, HERS).await;
            ada.delete("/sessions", Value::Null).await.is_ok();
        }
        "profile_changed by owner" => drop(ada.patch("/profile", json!({ "name": "New" })).await.is_ok()),
        "password_changed by owner" => {
            let body = json!({ "current_password": PASSWORD, "new_password": "quite another password" });
            ada.post("/profile/password", body).await.is_ok();
        }
        "user_deleted by owner" => {
            ada.delete("/profile", json!({ "password": PASSWORD })).await.is_ok();
        }
        "password_reset by visitor" => {
            let (url, _) = admin_users::reset_link(app, user(id), Actor::CommandLine).await.unwrap();
            let body =
                json!({ "token": url.rsplit_once('=').unwrap().1, "new_password": "quite another one" });
            site.visitor().from(HERS).post("/password/reset", body).await.is_ok();
        }
        "refresh_reused by visitor" => {
            let thief = ada.copy();
            ada.refresh().await.is_ok();
            ada.refresh().await.is_ok();
            site.clock.advance(Duration::from_secs(61));
            thief.refresh().await.is_refused("refresh_reused");
        }
        "refresh_ahead by visitor" => {
            ada.refresh().await.is_ok();
            rewound::generation(site, &ada.session_id().await, 0).await;
            ada.refresh().await.is_ok();
        }
        "token_revoked by client" => {
            revoked_by_client(site, ada).await;
        }
        other => panic!("no such act: {other}"),
    }
}

async fn revoked_by_client(site: &Site, ada: &Visitor) {
    let (client, asker) = (site.client().await, site.visitor().from(HERS));
    let request = asker.request(Method::POST, "/revoke").header(header::AUTHORIZATION, client);
    let request = request.header(header::CONTENT_TYPE, "application/json");
    asker.send(request, json!({ "token": ada.token().unwrap() }).to_string()).await.is_ok();
}

async fn by_admin(root: &Visitor, case: &str, id: &str) {
    let (path, with) = (format!("/admin/users/{id}"), json!({ "current_password": PASSWORD }));
    match case {
        "user_created by admin" => {
            let body = json!({ "name": "New", "email": "made@example.org" });
            root.post("/admin/users", body).await.has_status(201);
        }
        "user_changed by admin" => drop(root.patch(&path, json!({ "name": "New" })).await.is_ok()),
        "user_deleted by admin" => drop(root.delete(&path, with).await.is_ok()),
        "sessions_ended by admin" => {
            root.delete(&format!("{path}/sessions"), Value::Null).await.is_ok();
        }
        "reset_link_made by admin" => drop(reset_link(root, id).await),
        "invitation_made by admin" => drop(invitation(root, "user").await),
        "invitation_withdrawn by admin" => {
            invitation(root, "user").await;
            let listed = root.get("/admin/invitations").await.is_ok();
            let id = listed["invitations"][0]["id"].as_str().unwrap().to_owned();
            root.delete(&format!("/admin/invitations/{id}"), Value::Null).await.is_ok();
        }
        "sessions_ended by admin for one" => {
            let listed = root.get(&format!("{path}/sessions")).await.is_ok();
            let id = listed["sessions"][0]["id"].as_str().unwrap().to_owned();
            root.delete(&format!("/admin/sessions/{id}"), Value::Null).await.is_ok();
        }
        "client_created by admin" => {
            let body = json!({ "name": "shop", "current_password": PASSWORD });
            root.post("/admin/clients", body).await.has_status(201);
        }
        "flows_viewed by admin" => drop(root.get("/flow").await.is_ok()),
        "client_deleted by admin" => {
            let body = json!({ "name": "shop", "current_password": PASSWORD });
            let made = root.post("/admin/clients", body).await.has_status(201).json();
            let id = made["client_id"].as_str().unwrap().to_owned();
            root.delete(&format!("/admin/clients/{id}"), Value::Null).await.is_ok();
        }
        other => panic!("no such act: {other}"),
    }
}

async fn imported(app: &App) {
    let imported = ImportedUser {
        name: "Imported".parse().unwrap(),
        email: "imported@example.org".parse().unwrap(),
        role: RoleName::USER,
        password_hash: None,
        created_at: None,
        disabled: false,
        verified: true,
    };
    app.accounts.import(&[imported], false).await.unwrap();
}

async fn at_the_machine(site: &Site, case: &str, (id, ada): (&str, &Visitor)) {
    let (app, id) = (&site.app, user(id));
    match case {
        "user_created by command_line" => drop(site.user("more", RoleName::USER).await),
        "users_imported by command_line" => imported(app).await,
        "user_changed by command_line" => {
            let change = UserChange { disabled: Some(true), ..UserChange::default() };
            app.accounts.change(id, change, Actor::CommandLine).await.unwrap();
        }
        "user_changed by command_line for a password" => {
            let password = doorward_core::password::Password::new("quite another password").unwrap();
            admin_users::set_password(app, id, password).await.unwrap();
        }
        "user_deleted by command_line" => {
            app.accounts.delete(id, Actor::CommandLine).await.unwrap();
        }
        "sessions_ended by command_line" => {
            admin_users::end_sessions(app, id, Actor::CommandLine).await.unwrap();
        }
        "sessions_ended by command_line for one" => {
            let session = ada.session_id().await.parse().unwrap();
            admin_users::end_session(app, session, Actor::CommandLine).await.unwrap();
        }
        "reset_link_made by command_line" => {
            admin_users::reset_link(app, id, Actor::CommandLine).await.unwrap();
        }
        "invitation_made by command_line" => {
            admin_users::invite(app, None, RoleName::USER, Actor::CommandLine).await.unwrap();
        }
        "key_rotated by command_line" => {
            app.keys.replace(Algorithm::Es256, app.now()).await.unwrap();
        }
        "limits_cleared by command_line" => app.clear_limits().await.unwrap(),
        "restored by command_line" => drop(app.restored(false).await.unwrap()),
        "issuer_adopted by command_line" => app.adopt_issuer().await.unwrap(),
        "secret_rotated by command_line" => {
            app.rotate_root().await.unwrap();
        }
        "history_lost by server" => {
            ada.post("/logout", Value::Null).await.is_ok();
            rewound::lanes(site).await;
            site.app.follow().await.unwrap();
            rewound::healed(site).await;
        }
        "client_created by command_line" => drop(site.client().await),
        "client_deleted by command_line" => {
            site.client().await;
            let client = app.clients.list().await.unwrap().first().unwrap().client_id;
            assert!(app.clients.delete(client, &Actor::CommandLine).await.unwrap());
        }
        other => panic!("no such act: {other}"),
    }
}

/// Each act, and what it means for an access token that its user held before.
const ACTS: [(&str, &str); 37] = [
    ("register by owner", "ok"),
    ("login by owner", "ok"),
    ("login_pending by owner", "ok"),
    ("login_failed by visitor", "ok"),
    ("logout by owner", "session_ended"),
    ("logout by owner elsewhere", "ok"),
    ("logout_all by owner", "token_stale"),
    ("logout_all by owner for others", "token_stale"),
    ("profile_changed by owner", "ok"),
    ("password_changed by owner", "token_stale"),
    ("user_deleted by owner", "token_stale"),
    ("password_reset by visitor", "token_stale"),
    ("refresh_reused by visitor", "session_ended"),
    ("refresh_ahead by visitor", "ok"),
    ("token_revoked by client", "session_ended"),
    ("user_created by admin", "ok"),
    ("user_changed by admin", "ok"),
    ("user_deleted by admin", "token_stale"),
    ("sessions_ended by admin", "token_stale"),
    ("reset_link_made by admin", "ok"),
    ("invitation_made by admin", "ok"),
    ("invitation_withdrawn by admin", "ok"),
    ("sessions_ended by admin for one", "session_ended"),
    ("client_created by admin", "ok"),
    ("client_deleted by admin", "ok"),
    ("flows_viewed by admin", "ok"),
    ("user_created by command_line", "ok"),
    ("users_imported by command_line", "ok"),
    ("user_changed by command_line", "token_stale"),
    ("user_changed by command_line for a password", "token_stale"),
    ("user_deleted by command_line", "token_stale"),
    ("sessions_ended by command_line", "token_stale"),
    ("sessions_ended by command_line for one", "session_ended"),
    ("reset_link_made by command_line", "ok"),
    ("invitation_made by command_line", "ok"),
    ("key_rotated by command_line", "token_invalid"),
    ("client_created by command_line", "ok"),
];
const OF_THE_LAST: [(&str, &str); 6] = [
    ("limits_cleared by command_line", "ok"),
    ("issuer_adopted by command_line", "ok"),
    ("client_deleted by command_line", "ok"),
    ("history_lost by server", "session_ended"),
    ("restored by command_line", "token_invalid"),
    ("secret_rotated by command_line", "ok"),
];

/// What a credential gets: `ok`, or the code of its refusal.
async fn standing(visitor: &Visitor) -> String {
    let answer = visitor.get("/profile").await;
    answer.json()["code"].as_str().unwrap_or("ok").to_owned()
}

#[tokio::test]
async fn every_act_says_in_the_audit_log_who_did_it_and_from_where_and_is_in_force_at_once() {
    let site = Site::with(&[("DOORWARD_SECRET_OTHER", "another root secret: 0123456789abcdef")]).await;
    let root = site.user("root", RoleName::ADMIN).await;
    let mut seen = BTreeSet::new();
    let other = site.restarted().await;
    for (n, (case, effect)) in ACTS.iter().chain(&OF_THE_LAST).enumerate() {
        site.clock.advance(Duration::from_secs(1));
        let held = acts(&site, case, n).await;
        assert_eq!(standing(&held).await, *effect, "{case}");
        other.app.follow().await.unwrap();
        assert_eq!(standing(&held.at(&other)).await, *effect, "{case}, in another process");
        let (action, actor) = case.split_once(" by ").unwrap();
        let actor = actor.split(' ').next().unwrap();
        let (by, actor_id, ip) = last(&site, action).await;
        let (expected_id, expected_ip) = match actor {
            // What a deleted owner leaves behind names nobody.
            "owner" if action == "user_deleted" => (None, None),
            "owner" | "visitor" | "client" => (None, Some("198.51.100.1".to_owned())),
            "admin" => (Some(root.clone()), Some("198.51.100.2".to_owned())),
            _ => (None, None),
        };
        assert_eq!((by.as_str(), actor_id, ip), (actor, expected_id, expected_ip), "{case}");
        seen.insert(action);
    }
    let actions: BTreeSet<_> = doorward::internals::actions().iter().map(|action| action.name).collect();
    assert_eq!(seen, actions, "an act is missing here");
}

#[tokio::test]
async fn deleting_somebody_leaves_the_address_of_the_admin_who_acted_on_them() {
    let site = Site::new().await;
    site.user("root", RoleName::ADMIN).await;
    let root = signed_in(&site, "root", OF_ADMIN).await;
    let id = site.user("ada", RoleName::USER).await;
    let link = reset_link(&root, &id).await;
    resets(&site, &link).await.is_ok();
    let body = json!({ "current_password": PASSWORD });
    root.delete(&format!("/admin/users/{id}"), body).await.is_ok();
    let (_, _, ip) = last(&site, "reset_link_made").await;
    assert_eq!(ip.as_deref(), Some("198.51.100.2"));
    assert_eq!(last(&site, "password_reset").await.2, None, "the user's own address goes");
}
