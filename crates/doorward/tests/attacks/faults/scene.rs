//! A site with people in it, and for every route a request that does the route's work.

use doorward::internals::store::Row;
use doorward::testing::{Answer, PASSWORD, Site, Visitor};
use doorward_core::Mode;
use http::Method;
use serde_json::{Value, json};

use crate::authorisation::routes::Route;

/// Before the entries of the audit log.
pub(super) const AUDIT: &str = "audit:\n";
pub(super) const NEW_PASSWORD: &str = "a door is a threshold";

/// An admin, a user on three devices, and the request that one of them makes.
pub(super) struct Scene {
    pub(super) site: Site,
    /// Another process on the same data.
    other: Site,
    pub(super) caller: Visitor,
    /// Everybody who holds a credential before the request, under a name.
    pub(super) held: Vec<(&'static str, Visitor)>,
    method: Method,
    path: String,
    body: Value,
    who: &'static str,
    /// The `Authorization` of a registered client.
    client: String,
    /// Its id.
    client_id: String,
}

/// Routes that need only their path.
const DO_WITHOUT_A_BODY: [&str; 16] = [
    "/logout/all",
    "/sessions",
    "/sessions/end-others",
    "/sessions/{id}",
    "/sessions/{id}/end",
    "/admin/users/{id}",
    "/admin/users/{id}/delete",
    "/admin/users/{id}/sessions",
    "/admin/users/{id}/sessions/end",
    "/admin/users/{id}/reset-link",
    "/admin/sessions/{id}",
    "/admin/sessions/{id}/end",
    "/admin/invitations/{id}",
    "/admin/invitations/{id}/withdraw",
    "/admin/clients/{id}",
    "/admin/clients/{id}/delete",
];

/// The bodies with which a route is called, each in a scene of its own.
pub(super) fn requests(route: Route) -> Vec<Value> {
    let new = json!({ "name": "New", "email": "new@example.org", "password": NEW_PASSWORD });
    let with = |more: Value| {
        let mut body = new.clone();
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        body
    };
    let changed = json!({ "name": "Grace H.", "email": "hopper@example.org", "password": PASSWORD });
    match (route.method, route.path) {
        ("GET", _) => vec![Value::Null],
        ("POST", "/login") => Mode::ALL
            .map(|mode| json!({ "email": "grace@example.org", "password": PASSWORD, "mode": mode.as_str() }))
            .into(),
        ("POST", "/register") => vec![with(json!({ "mode": "bearer" })), with(json!({ "mode": "session" }))],
        ("POST", "/refresh") => vec![json!({ "refresh_token": "{refresh}" })],
        ("POST", "/introspect") => {
            vec![
                json!({ "token": "{access}" }),
                json!({ "token": "{refresh}" }),
                json!({ "token": "{secret}" }),
            ]
        }
        ("POST", "/inspect") => vec![json!({ "token": "{access}" })],
        ("POST", "/revoke") => vec![json!({ "token": "{access}" }), json!({ "token": "{refresh}" })],
        ("POST", "/logout") => vec![json!({}), json!({ "refresh_token": "{refresh}" })],
        ("POST", "/password/reset") => vec![json!({ "token": "{reset}", "new_password": NEW_PASSWORD })],
        ("PATCH" | "POST", "/profile") => vec![json!({ "name": "Grace H." }), changed],
        ("POST", "/profile/password") => {
            vec![json!({ "current_password": PASSWORD, "new_password": NEW_PASSWORD })]
        }
        ("POST", "/confirm") => vec![json!({ "current_password": PASSWORD })],
        ("DELETE", "/profile") | ("POST", "/profile/delete") => vec![json!({ "password": PASSWORD })],
        ("POST", "/admin/users") => vec![new.clone(), with(json!({ "role": "admin" }))],
        ("PATCH" | "POST", "/admin/users/{id}") => {
            vec![
                json!({ "role": "admin" }),
                json!({ "disabled": true }),
                json!({ "name": "G", "email": "g@example.org" }),
            ]
        }
        ("POST", "/admin/clients") => vec![json!({ "name": "A client" })],
        ("POST", "/admin/invitations") => vec![json!({ "email": "new@example.org", "role": "user" })],
        ("DELETE" | "POST", path) if DO_WITHOUT_A_BODY.contains(&path) => vec![Value::Null],
        (method, path) => panic!("{method} {path}: say with which bodies it does what it is for"),
    }
}

impl Scene {
    pub(super) async fn of(route: Route, body: &Value) -> Self {
        let settings = [
            ("throttle.enabled", "false"),
            ("forward_auth.hosts", "127.0.0.1:8000"),
            ("trusted_proxies", "192.0.2.0/24"),
        ];
        let site = Site::with(&settings).await;
        let admin = site.admin("ada").await;
        let bearer = site.logged_in("grace").await;
        let cookie = site.logged_in_by("grace", Mode::Cookie).await;
        let session = site.logged_in_by("grace", Mode::Session).await;
        let grace = bearer.user_id().await;
        let other = bearer.session_id().await;
        let client = site.client().await;
        let client_id = site.app.clients.list().await.unwrap()[0].client_id.to_string();
        let id = match route.path {
            path if path.contains("/clients/") => client_id.clone(),
            path if path.contains("/invitations/") => {
                admin
                    .post("/admin/invitations", json!({ "email": "guest@example.org" }))
                    .await
                    .has_status(201);
                let invitations = admin.get("/admin/invitations").await.is_ok();
                invitations["invitations"][0]["id"].as_str().unwrap().to_owned()
            }
            path if path.contains("/sessions/{id}") => other,
            _ => grace.clone(),
        };
        let path = route.path.replace("{id}", &id);
        let mut text = body.to_string();
        if text.contains("{reset}") {
            let link = admin.post(&format!("/admin/users/{grace}/reset-link"), Value::Null).await.is_ok();
            let (_, token) = link["url"].as_str().unwrap().split_once("token=").unwrap();
            text = text.replace("{reset}", token);
        }
        text = text.replace("{refresh}", &bearer.refresh_token().unwrap());
        text = text.replace("{access}", &bearer.token().unwrap());
        text = text.replace("{secret}", &session.cookie("__Host-sessionId").unwrap());
        let caller = match route.path {
            path if path.starts_with("/admin") || route.who.starts_with("flow:read") => admin.copy(),
            "/refresh" => bearer.copy(),
            _ if route.who == "a client" => site.visitor(),
            _ => session.copy(),
        };
        let held = vec![("admin", admin), ("bearer", bearer), ("cookie", cookie), ("session", session)];
        let body = serde_json::from_str(&text).unwrap();
        let other = site.restarted().await;
        let (method, who) = (route.method.parse().unwrap(), route.who);
        Self { site, other, caller, held, method, path, body, who, client, client_id }
    }

    /// Makes the request, with a copy of the caller: whatever the answer clears, it can be made again.
    pub(super) async fn act(&self) -> Answer {
        let caller = self.caller.copy();
        if self.path == "/forward-auth" {
            let asked = caller.request(self.method.clone(), &self.path);
            let told =
                asked.header("x-original-url", "http://127.0.0.1:8000/").header("x-forwarded-method", "GET");
            return caller.send(told, axum::body::Body::empty()).await;
        }
        match self.who {
            "a browser" => return caller.page(&self.path).await,
            "a client" => {
                let asked = caller.request(self.method.clone(), &self.path);
                let asked =
                    asked.header("authorization", &self.client).header("content-type", "application/json");
                return caller.send(asked, self.body.to_string()).await;
            }
            _ => {}
        }
        caller.json(self.method.clone(), &self.path, self.body.clone()).await
    }

    /// Whether each credential opens the profile: the status that this process gives, and the other one.
    pub(super) async fn who_is_in(&self) -> Vec<(&'static str, u16, u16)> {
        self.other.app.follow().await.unwrap();
        let mut seen = Vec::new();
        for (name, visitor) in &self.held {
            let here = visitor.copy().get("/profile").await;
            let there = visitor.copy().at(&self.other).get("/profile").await;
            seen.push((*name, here.status.as_u16(), there.status.as_u16()));
        }
        seen
    }

    /// The content of the store, without ids, times and secrets: equal after equal acts.
    pub(super) async fn stored(&self) -> String {
        const TABLES: [&str; 8] = [
            "SELECT name FROM clients ORDER BY name",
            "SELECT u.name, e.address, e.verified_by, u.role, CAST(u.credentials_version AS TEXT), \
             CAST(CASE WHEN u.claims_version = 0 THEN 0 ELSE 1 END AS TEXT), \
             CAST(CASE WHEN u.disabled_at IS NULL THEN 0 ELSE 1 END AS TEXT) \
             FROM users u LEFT JOIN emails e ON e.user_id = u.id ORDER BY e.address",
            "SELECT e.address, s.mode, s.amr, s.end_reason, CAST(s.generation AS TEXT), CAST(s.replays AS TEXT), \
             CAST(CASE WHEN s.confirmed_at IS NULL THEN 0 ELSE 1 END AS TEXT) \
             FROM sessions s JOIN emails e ON e.user_id = s.user_id ORDER BY e.address, s.mode, s.ended_at, s.generation",
            "SELECT reason FROM revocations ORDER BY reason",
            "SELECT CAST(COUNT(*) AS TEXT) FROM least_versions",
            "SELECT purpose, data, CAST(CASE WHEN used_at IS NULL THEN 0 ELSE 1 END AS TEXT) \
             FROM challenges ORDER BY purpose, data, created_at",
            "SELECT e.address FROM devices d JOIN emails e ON e.user_id = d.user_id ORDER BY e.address",
            "SELECT action, actor, detail, CAST(occurrences AS TEXT) FROM audit_log ORDER BY action, actor, detail",
        ];
        let mut text = String::new();
        for table in TABLES {
            if table.contains("FROM audit_log") {
                text += AUDIT;
            }
            for row in self.site.app.store.list(table, Vec::new()).await.unwrap() {
                text += &row.for_tests().replace('\n', " ");
                text += "\n";
            }
            text += "--\n";
        }
        for client in self.site.app.clients.list().await.unwrap() {
            text = text.replace(&client.client_id.to_string(), "[client]");
        }
        text.replace(&self.client_id, "[client]")
    }

    /// Every password hash, to see whether one changed.
    pub(super) async fn hashes(&self) -> String {
        let hashes = "SELECT e.address, a.data FROM emails e JOIN authenticators a ON a.user_id = e.user_id \
             ORDER BY a.created_at, e.address";
        let rows = self.site.app.store.list(hashes, Vec::new()).await.unwrap();
        rows.iter().map(Row::for_tests).collect()
    }
}
