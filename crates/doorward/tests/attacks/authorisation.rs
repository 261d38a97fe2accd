//! Section A, authorisation: who may what. The matrix of all routes and callers is a file of its own.
//!
//! A07 waits: there are no API keys yet.

mod administration;
mod matrix;
pub(crate) mod routes;
mod spellings;

use doorward::testing::{PASSWORD, Site, Visitor};
use serde_json::{Value, json};

use routes::routes;

/// What an attacker adds to a body in the hope that it is stored.
fn smuggled(id: &str) -> Value {
    json!({
        "role": "admin", "roles": ["admin"], "is_admin": true, "isAdmin": true, "admin": true, "permissions": ["users:write"],
        "id": id, "user_id": id, "userId": id, "sub": id, "tenant": "other", "verified": true, "email_verified": true,
        "created_at": "1999-01-01T00:00:00Z", "updated_at": 0, "password_hash": "$2b$04$stolen", "disabled": false,
        "disabled_at": null, "claims_version": 9, "session": id, "sid": id
    })
}

fn with(mut body: Value, more: &Value) -> Value {
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    body
}

async fn user_of(visitor: &Visitor) -> Value {
    visitor.get("/profile").await.is_ok()["user"].clone()
}

#[tokio::test]
async fn a02_an_id_of_somebody_else_is_not_found_and_nothing_changes() {
    let site = Site::new().await;
    let (ada, bob) = (site.logged_in("ada").await, site.logged_in("bob").await);
    let (bob_id, bob_session) = (bob.user_id().await, bob.session_id().await);
    let mut tried = Vec::new();
    for route in routes().iter().filter(|route| route.path.contains("{id}")) {
        let administrative = route.path.starts_with("/admin/") || route.path.starts_with("/flow/");
        let id = if administrative { &bob_id } else { &bob_session };
        let path = route.path.replace("{id}", id);
        let answer = ada.json(route.method.parse().unwrap(), &path, json!({ "name": "mallory" })).await;
        answer.is_refused(if administrative { "forbidden" } else { "not_found" });
        tried.push(path);
    }
    assert!(tried.len() > 7, "{tried:?}");
    assert_eq!(user_of(&bob).await["name"], "bob");
    assert_eq!(bob.session_id().await, bob_session);
}

#[tokio::test]
async fn a02_somebody_elses_session_and_none_at_all_are_one_answer() {
    let site = Site::new().await;
    let (ada, bob) = (site.logged_in("ada").await, site.logged_in("bob").await);
    let of_bob = format!("/sessions/{}", bob.session_id().await);
    let of_nobody = "/sessions/01890000-0000-7000-8000-000000000000";
    let without_request_id =
        |mut problem: Value| problem.as_object_mut().unwrap().remove("request_id").map(|_| problem);
    let answers = [ada.delete(&of_bob, Value::Null).await, ada.delete(of_nobody, Value::Null).await];
    let [theirs, nobodys] = answers.map(|answer| without_request_id(answer.is_refused("not_found")).unwrap());
    assert_eq!(theirs, nobodys);
}

#[tokio::test]
async fn a02_ids_in_query_body_and_headers_say_nothing_about_who_asks() {
    let site = Site::new().await;
    let (ada, bob) = (site.logged_in("ada").await, site.logged_in("bob").await);
    let (ada_id, bob_id) = (ada.user_id().await, bob.user_id().await);
    for path in ["/profile", "/dashboard"] {
        let path = format!("{path}?id={bob_id}&user_id={bob_id}&sub={bob_id}&user={bob_id}");
        let request = ada.request("GET".parse().unwrap(), &path);
        let request = request
            .header("x-user-id", &bob_id)
            .header("x-forwarded-user", "bob")
            .header("remote-user", "bob");
        assert_eq!(ada.send(request, "").await.is_ok()["user"]["id"], ada_id.as_str());
    }
    let listed = ada.get(&format!("/sessions?user_id={bob_id}&id={bob_id}")).await.is_ok();
    assert_eq!(listed["sessions"].as_array().unwrap().len(), 1);
    let renamed =
        ada.patch("/profile", with(json!({ "name": "Countess" }), &smuggled(&bob_id))).await.is_ok();
    assert_eq!(renamed["user"]["id"], ada_id.as_str());
    ada.delete("/sessions", smuggled(&bob_id)).await.is_ok();
    ada.refresh().await.is_ok();
    ada.post("/logout/all", smuggled(&bob_id)).await.is_ok();
    assert_eq!(user_of(&bob).await["name"], "bob");
}

#[tokio::test]
async fn a03_what_is_smuggled_into_a_registration_has_no_effect() {
    let site = Site::new().await;
    let eve = site.visitor();
    let body = json!({ "name": "eve", "email": "eve@example.org", "password": PASSWORD });
    let answer = eve.post("/register", with(body, &smuggled("01890000-0000-7000-8000-000000000000"))).await;
    let user = answer.has_status(201).json()["user"].clone();
    is_a_plain_new_user(&user);
    eve.get("/admin/users").await.is_refused("forbidden");

    let mallory = site.visitor();
    let form =
        [("name", "mallory"), ("email", "mallory@example.org"), ("password", PASSWORD), ("role", "admin")];
    mallory.form("/register", &form).await.goes_to("/dashboard");
    is_a_plain_new_user(&user_of(&mallory).await);
    mallory.get("/admin/users").await.is_refused("forbidden");
}

#[track_caller]
fn is_a_plain_new_user(user: &Value) {
    let fields: Vec<_> = user.as_object().unwrap().keys().cloned().collect();
    assert_eq!(fields, ["created_at", "email", "id", "name", "role"]);
    assert_eq!((&user["role"], &user["created_at"]), (&json!("user"), &json!("2027-01-15T08:00:00Z")));
    assert_ne!(user["id"], "01890000-0000-7000-8000-000000000000");
}

#[tokio::test]
async fn a03_what_is_smuggled_into_a_login_or_a_profile_has_no_effect() {
    let site = Site::new().await;
    let (admin, eve) = (site.admin("root").await, site.logged_in("eve").await);
    let before = user_of(&eve).await;
    let smuggled = smuggled("01890000-0000-7000-8000-000000000000");

    let login = json!({ "email": "eve@example.org", "password": PASSWORD });
    assert_eq!(eve.post("/login", with(login, &smuggled)).await.is_ok()["user"], before);
    let patched = eve.patch("/profile", with(json!({ "name": "eve" }), &smuggled)).await.is_ok();
    assert_eq!(patched["user"], before);
    eve.form("/profile", &[("name", "eve"), ("role", "admin"), ("disabled", "true")])
        .await
        .goes_to("/dashboard?done=name-changed");
    let new_password = json!({ "current_password": PASSWORD, "new_password": "another good phrase" });
    eve.post("/profile/password", with(new_password, &smuggled)).await.is_ok();

    assert_eq!(user_of(&eve).await, before);
    let listed = admin.get(&format!("/admin/users/{}", before["id"].as_str().unwrap())).await.is_ok();
    assert_eq!(
        listed["user"],
        with(before, &json!({ "disabled": false, "email_vouched_by": "command_line" }))
    );
    eve.get("/admin/users").await.is_refused("forbidden");
}

#[tokio::test]
async fn a03_an_admin_too_changes_only_what_the_contract_lists() {
    let site = Site::new().await;
    let (admin, ada) = (site.admin("root").await, site.registered("ada").await);
    let before = user_of(&ada).await;
    let path = format!("/admin/users/{}", before["id"].as_str().unwrap());
    let other = "01890000-0000-7000-8000-000000000000";
    let body = json!({ "id": other, "created_at": "1999-01-01T00:00:00Z", "password_hash": "x", "password": "chosen by the admin" });
    admin.patch(&path, body).await.is_ok();
    assert_eq!(user_of(&ada).await, before);
    let login = |password: &str| json!({ "email": "ada@example.org", "password": password });
    site.visitor().post("/login", login("chosen by the admin")).await.is_refused("invalid_credentials");
    site.visitor().post("/login", login(PASSWORD)).await.is_ok();
}

#[tokio::test]
async fn a04_a_role_has_one_spelling_and_unknown_ones_are_refused() {
    let site = Site::new().await;
    let (admin, ada) = (site.admin("root").await, site.registered("ada").await);
    let path = format!("/admin/users/{}", ada.user_id().await);
    let names = [
        "ADMIN",
        "Admin",
        " admin",
        "admin ",
        "admin\0",
        "\u{430}dmin",
        "*",
        "",
        "admin,user",
        "root",
        "ad\u{200b}min",
    ];
    let wrong = names.map(Value::from).into_iter().chain([
        json!(["admin"]),
        json!({ "eq": "admin" }),
        json!(1),
        json!(true),
    ]);
    for role in wrong {
        let problem = admin.patch(&path, json!({ "role": role })).await.is_refused("invalid_input");
        assert_eq!(problem["fields"][0]["field"], "role", "{role}");
        let new = json!({ "name": "new", "email": "new@example.org", "role": role });
        admin.post("/admin/users", new).await.is_refused("invalid_input");
        admin.post("/admin/invitations", json!({ "role": role })).await.is_refused("invalid_input");
    }
    assert_eq!(user_of(&ada).await["role"], "user");
    assert_eq!(admin.get("/admin/users").await.is_ok()["users"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn a04_a_role_that_is_no_more_in_the_settings_grants_nothing() {
    let site = Site::with(&[("roles.support", "users:read,audit:read")]).await;
    site.user("eve", "support".parse().unwrap()).await;
    let eve = site.logged_in("eve").await;
    eve.get("/admin/users").await.is_ok();
    let restarted = site.restarted_with(&[("roles.support", "")]).await;
    let at_the_new_one = eve.at(&restarted);
    at_the_new_one.get("/admin/users").await.is_refused("forbidden");
    at_the_new_one.get("/admin/audit").await.is_refused("forbidden");

    let sql = "UPDATE users SET role = 'ghost' WHERE id IN (SELECT user_id FROM emails WHERE address = 'eve@example.org')";
    assert_eq!(site.app.store.execute(sql, Vec::new()).await.unwrap(), 1);
    site.logged_in("eve").await.get("/admin/users").await.is_refused("forbidden");
}
