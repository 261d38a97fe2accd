use std::time::Duration;

use axum::body::Body;
use axum::extract::ConnectInfo;
use doorward_core::Mode;
use futures_util::StreamExt;
use http::{Method, header};
use serde_json::{Value, json};
use std::net::SocketAddr;
use tower::ServiceExt;

use crate::testing::{Answer, PASSWORD, Site, Visitor};

/// A site that records each request.
async fn site() -> Site {
    Site::with(&[("flow.sample", "100%")]).await
}

/// The id of the last request.
async fn last(admin: &Visitor) -> String {
    admin.get("/flow?limit=1").await.is_ok()["flows"][0]["id"].as_str().unwrap().to_owned()
}

/// The recorded requests that meet this query, as `METHOD route code`.
async fn found(admin: &Visitor, query: &str) -> Vec<String> {
    let list = admin.get(&format!("/flow?{query}")).await.is_ok();
    let text = |flow: &Value, name: &str| flow[name].as_str().unwrap_or("-").to_owned();
    let line = |flow: &Value| ["method", "route", "code"].map(|name| text(flow, name)).join(" ");
    list["flows"].as_array().unwrap().iter().map(line).collect()
}

/// A stream of events that is being read.
struct Watched(axum::body::BodyDataStream);

impl Watched {
    async fn open(site: &Site, admin: &Visitor, query: &str) -> Result<Self, Answer> {
        let request = admin.request(Method::GET, &format!("/flow?{query}"));
        let mut request = request.header(header::ACCEPT, "text/event-stream").body(Body::empty()).unwrap();
        request.extensions_mut().insert(ConnectInfo(SocketAddr::from(([192, 0, 2, 1], 4711))));
        let response = crate::routes::alone::<()>(&site.app).oneshot(request).await.unwrap();
        if response.status().is_success() {
            assert_eq!(response.headers()[header::CONTENT_TYPE], "text/event-stream");
            return Ok(Self(response.into_body().into_data_stream()));
        }
        let (parts, body) = response.into_parts();
        let body = http_body_util::BodyExt::collect(body).await.unwrap().to_bytes();
        Err(Answer { status: parts.status, headers: parts.headers, body: body.to_vec() })
    }

    /// The next events; `None` at the end of the stream.
    async fn hears(&mut self) -> Option<String> {
        let next = tokio::time::timeout(Duration::from_secs(30), self.0.next());
        let bytes = next.await.expect("events come in time")?.unwrap();
        Some(String::from_utf8(bytes.to_vec()).unwrap())
    }

    /// Reads on until something has this text.
    async fn hears_of(&mut self, text: &str) {
        while !self.hears().await.expect("the stream goes on").contains(text) {}
    }
}

#[tokio::test]
async fn only_a_role_with_the_permission_sees_requests() {
    let site = site().await;
    let (admin, ada, stranger) = (site.admin("grace").await, site.logged_in("ada").await, site.visitor());
    let id = last(&admin).await;
    let session = ada.session_id().await;
    for path in [
        "/flow".to_owned(),
        format!("/flow/{id}"),
        format!("/flow/{id}.svg"),
        format!("/flow/{id}.flow.json"),
        format!("/flow/stories/{session}"),
    ] {
        ada.get(&path).await.has_status(403).is_refused("forbidden");
        stranger.get(&path).await.has_status(401).is_refused("token_missing");
        admin.get(&path).await.has_status(200);
    }
    admin.page("/flow").await.has_status(200);
    ada.page("/flow").await.has_status(403);
}

#[tokio::test]
async fn each_look_of_an_admin_is_in_the_audit_log() {
    let site = site().await;
    let (admin, session) = (site.admin("grace").await, site.logged_in("ada").await.session_id().await);
    let id = last(&admin).await;
    site.later(Duration::from_secs(60)).await;
    admin.page("/flow").await.has_status(200);
    admin.page("/flow").await.has_status(200);
    admin.get(&format!("/flow/{id}.svg")).await.has_status(200);
    admin.get(&format!("/flow/stories/{session}")).await.has_status(200);
    Watched::open(&site, &admin, &format!("session={session}"))
        .await
        .map_err(|answer| answer.text())
        .unwrap();
    let log = admin.get("/admin/audit").await.is_ok();
    let of_flows = |entry: &&Value| entry["action"] == "flows_viewed";
    let entries: Vec<_> = log["entries"].as_array().unwrap().iter().filter(of_flows).take(4).collect();
    let said = |entry: &&Value| {
        assert_eq!((&entry["actor"], &entry["ip"]), (&json!("admin"), &json!("192.0.2.1")));
        format!("{} × {}", entry["detail"].as_str().unwrap(), entry["occurrences"])
    };
    let mut said: Vec<_> = entries.iter().map(said).collect();
    said.sort_unstable();
    assert_eq!(
        said,
        [
            format!("request {id}.svg × 1"),
            "the page × 2".to_owned(),
            format!("the story of session {session} × 1"),
            format!("the stream of session {session} × 1"),
        ]
    );
}

#[tokio::test]
async fn a_look_that_cannot_be_audited_is_refused() {
    let site = site().await;
    let admin = site.admin("grace").await;
    let id = last(&admin).await;
    site.app.store.execute("ALTER TABLE audit_folds RENAME TO audit_away", Vec::new()).await.unwrap();
    for path in ["/flow".to_owned(), format!("/flow/{id}.txt")] {
        admin.get(&path).await.has_status(503);
    }
}

#[tokio::test]
async fn a_developer_looks_without_a_credential_and_without_an_audit_entry() {
    let site = Site::with(&[("dev", "true")]).await;
    let here = site.visitor().from([127, 0, 0, 1]);
    site.logged_in("ada").await;
    let id = last(&here).await;
    here.page("/flow").await.has_status(200);
    here.page(&format!("/flow/{id}")).await.has_status(200);
    here.get(&format!("/flow/{id}.svg")).await.has_status(200);
    site.visitor().get("/flow").await.has_status(403).is_refused("development_only");
    let admin = site.admin("grace").await;
    let log = admin.get("/admin/audit").await.is_ok();
    assert!(!log.to_string().contains("flows_viewed"), "{log}");
}

#[tokio::test]
async fn looking_at_requests_makes_none() {
    let site = Site::with(&[("dev", "true")]).await;
    let here = site.visitor().from([127, 0, 0, 1]);
    site.visitor().get("/profile").await.has_status(401);
    let id = last(&here).await;
    for path in
        ["/flow".to_owned(), format!("/flow/{id}"), format!("/flow/{id}.svg"), "/flow/none".to_owned()]
    {
        here.page(&path).await;
        here.get(&path).await;
    }
    for asset in ["/style.css", "/assets/diagram.js", "/assets/words.json"] {
        here.get(asset).await.has_status(200);
    }
    site.visitor().get("/flow").await.has_status(403);
    assert_eq!(last(&here).await, id);
    // Not what only begins in the same way.
    here.get("/flows").await.has_status(404);
    assert_ne!(last(&here).await, id);
}

#[tokio::test]
async fn a_request_is_seen_by_who_watches_and_in_the_list_and_alone() {
    let site = Site::new().await;
    let admin = site.admin("grace").await;
    let mut watched = Watched::open(&site, &admin, "").await.map_err(|answer| answer.text()).unwrap();
    watched.hears_of("event: current").await;
    site.logged_in("ada").await;
    watched.hears_of("\"route\":\"/login\"").await;
    let list = admin.get("/flow?route=/login").await.is_ok();
    let flow = &list["flows"][0];
    assert_eq!(admin.get(&format!("/flow/{}", flow["id"].as_str().unwrap())).await.is_ok(), *flow);
    let words = admin.get("/assets/words.json").await.is_ok();
    let verb = |step: &Value| words["verbs"][step["verb"].as_u64().unwrap() as usize]["name"].clone();
    let verbs: Vec<_> = flow["steps"].as_array().unwrap().iter().map(verb).collect();
    for expected in ["Login", "ComparePassword", "BeginSession", "SignToken"] {
        assert!(verbs.contains(&json!(expected)), "{verbs:?}");
    }
}

#[tokio::test]
async fn a_stream_ends_with_the_session_or_the_permission_of_its_viewer() {
    let site = Site::new().await;
    let root = site.admin("root").await;
    for ends in ["logout", "role", "disabled"] {
        let admin = site.admin(ends).await;
        let mut watched = Watched::open(&site, &admin, "").await.map_err(|answer| answer.text()).unwrap();
        watched.hears_of("event: current").await;
        let user = admin.user_id().await;
        match ends {
            "logout" => admin.post("/logout", json!({})).await.has_status(200).status,
            "role" => {
                root.patch(&format!("/admin/users/{user}"), json!({ "role": "user" }))
                    .await
                    .has_status(200)
                    .status
            }
            _ => {
                root.patch(&format!("/admin/users/{user}"), json!({ "disabled": true }))
                    .await
                    .has_status(200)
                    .status
            }
        };
        site.visitor().get("/profile").await.has_status(401);
        let mut heard = String::new();
        while let Some(events) = watched.hears().await {
            heard += &events;
        }
        assert!(!heard.contains("\"route\":\"/profile\",\"status\":401"), "{ends}: {heard}");
    }
}

#[tokio::test]
async fn a_stream_ends_when_the_server_stops_and_none_begins_then() {
    let site = site().await;
    let admin = site.admin("grace").await;
    let mut watched = Watched::open(&site, &admin, "").await.map_err(|answer| answer.text()).unwrap();
    watched.hears_of("event: current").await;
    site.app.drain();
    while watched.hears().await.is_some() {}
    let refused = Watched::open(&site, &admin, "").await.err().unwrap();
    assert_eq!(refused.status, 503);
}

#[tokio::test]
async fn at_most_twenty_watch_and_a_place_is_free_again_when_one_leaves() {
    let site = site().await;
    let admin = site.admin("grace").await;
    let mut all = Vec::new();
    for _ in 0..crate::flow::MOST_VIEWERS {
        all.push(Watched::open(&site, &admin, "").await.map_err(|answer| answer.text()).unwrap());
    }
    let refused = Watched::open(&site, &admin, "").await.err().unwrap();
    assert_eq!((refused.status.as_u16(), refused.code()), (503, json!("overloaded")));
    assert!(refused.header("retry-after").is_some());
    all.pop();
    assert!(Watched::open(&site, &admin, "").await.is_ok());
}

#[tokio::test]
async fn requests_are_found_by_who_sent_them_where_and_how_they_ended() {
    let site = site().await;
    let admin = site.admin("grace").await;
    let ada = site.logged_in("ada").await;
    ada.get("/profile").await.has_status(200);
    let bad = json!({ "email": "nobody@example.org", "password": PASSWORD });
    site.visitor().post("/login", bad).await.has_status(401);
    let refused = site.visitor().get("/profile").await;
    let (user, session) = (ada.user_id().await, ada.session_id().await);
    let id = refused.header("x-request-id").unwrap();
    assert_eq!(found(&admin, &format!("id={id}")).await, ["GET /profile token_missing"]);
    assert_eq!(found(&admin, &format!("user={user}&route=/log")).await, ["POST /login -"]);
    let of_session = found(&admin, &format!("session={session}")).await;
    assert!(of_session.contains(&"GET /profile -".to_owned()), "{of_session:?}");
    assert!(of_session.iter().all(|line| !line.contains("token_missing")), "{of_session:?}");
    assert_eq!(found(&admin, "address=NOBODY@Example.org").await, ["POST /login invalid_credentials"]);
    assert_eq!(
        found(&admin, "address=ada@example.org&verdict=answered&route=/login").await,
        ["POST /login -"]
    );
    assert_eq!(found(&admin, "verdict=token_missing").await, ["GET /profile token_missing"]);
    assert_eq!(
        found(&admin, "verdict=refused").await,
        ["GET /profile token_missing", "POST /login invalid_credentials"]
    );
    assert_eq!(found(&admin, "route=/nowhere").await, Vec::<String>::new());
    for (bad, field) in [
        ("user=ada", "user"),
        ("session=1", "session"),
        ("address=ada", "address"),
        ("limit=501", "limit"),
        ("route=%00", "route"),
        (&format!("verdict={}", "x".repeat(101)), "verdict"),
    ] {
        let refused = admin.get(&format!("/flow?{bad}")).await;
        assert_eq!(refused.has_status(422).is_refused("invalid_input")["fields"][0]["field"], field);
        if !bad.starts_with("limit") {
            let refused = Watched::open(&site, &admin, bad).await.err().unwrap();
            assert_eq!(refused.status, 422, "{bad}");
        }
    }
}

#[tokio::test]
async fn refusals_are_counted_by_their_first_failed_check() {
    let site = site().await;
    let (admin, ada) = (site.admin("grace").await, site.logged_in("ada").await);
    for _ in 0..3 {
        site.visitor().get("/profile").await.has_status(401);
    }
    let token = ada.token().unwrap();
    let (signed, _) = token.rsplit_once('.').unwrap();
    let forged = site.visitor();
    forged.hold(Some(&format!("{signed}.{}", "A".repeat(86))), Some(""));
    forged.get("/profile").await.has_status(401);
    let words = admin.get("/assets/words.json").await.is_ok();
    let list = admin.get("/flow").await.is_ok();
    let said = |group: &Value| {
        let verb = group["verb"].as_u64().map(|verb| words["verbs"][verb as usize]["name"].clone());
        let sample = group["sample"].as_str().unwrap();
        assert!(list["flows"].as_array().unwrap().iter().any(|flow| flow["id"] == sample));
        format!("{} {} {} {}", group["code"], verb.unwrap_or_default(), group["check"], group["count"])
    };
    let groups: Vec<_> = list["refusals"].as_array().unwrap().iter().map(said).collect();
    assert_eq!(
        groups,
        [r#""token_missing" "PickCredential" null 3"#, r#""token_invalid" "VerifySignature" "signature" 1"#]
    );
}

#[tokio::test]
async fn the_story_of_a_session_goes_from_its_sign_in_to_its_end() {
    let site = site().await;
    let admin = site.admin("grace").await;
    let ada = site.logged_in("ada").await;
    let (user, session) = (ada.user_id().await, ada.session_id().await);
    let other = site.logged_in("ada").await;
    let path = format!("/flow/stories/{session}");
    for _ in 0..2 {
        site.later(Duration::from_secs(120)).await;
        ada.refresh().await.has_status(200);
    }
    let story = admin.get(&path).await.is_ok();
    assert_eq!((&story["generation"], &story["end_reason"]), (&json!(2), &Value::Null));
    assert_eq!((&story["methods"], &story["mode"]), (&json!(["pwd"]), &json!("bearer")));
    assert_eq!(story["renewals"].as_array().unwrap().len(), 2);
    admin.patch(&format!("/admin/users/{user}"), json!({ "role": "admin" })).await.has_status(200);
    site.later(Duration::from_secs(60)).await;
    // What its user does in another session is another story.
    other.refresh().await.has_status(200);
    other.post("/logout", json!({})).await.has_status(200);
    admin.delete(&format!("/admin/sessions/{session}"), Value::Null).await.has_status(200);
    site.later(Duration::from_secs(120)).await;
    let story = admin.get(&path).await.is_ok();
    assert_eq!((&story["end_reason"], &story["ended_by"]), (&json!("ended_by_admin"), &json!("grace")));
    let actions = story["changes"].as_array().unwrap().iter().map(|one| one["action"].as_str().unwrap());
    let later: Vec<_> = actions.filter(|action| !["login", "user_created"].contains(action)).collect();
    assert_eq!(later, ["user_changed", "sessions_ended"]);
    admin.get("/flow/stories/01890000-0000-7000-8000-000000000000").await.has_status(404);
    admin.get("/flow/stories/x").await.has_status(404);
}

#[tokio::test]
async fn files_are_attachments_in_which_nothing_runs() {
    let site = site().await;
    let admin = site.admin("grace").await;
    site.logged_in_by("ada", Mode::Session).await;
    let id = admin.get("/flow?route=/login&limit=1").await.is_ok()["flows"][0]["id"].clone();
    let id = id.as_str().unwrap();
    for (form, media) in [
        ("svg", "image/svg+xml"),
        ("txt", "text/plain; charset=utf-8"),
        ("mmd", "text/plain; charset=utf-8"),
        ("flow.json", "application/json"),
    ] {
        let file = admin.get(&format!("/flow/{id}.{form}")).await;
        file.has_status(200);
        assert_eq!(file.header("content-type"), Some(media));
        let name = format!("attachment; filename=\"{id}.{form}\"");
        assert_eq!(file.header("content-disposition"), Some(name.as_str()));
        assert!(file.header("content-security-policy").unwrap().starts_with("sandbox"), "{form}");
        assert_eq!(file.header("x-content-type-options"), Some("nosniff"));
        assert!(file.text().contains("ogin"), "{form}: {}", file.text());
    }
    assert_eq!(admin.get(&format!("/flow/{id}.flow.json")).await.is_ok()["doorward_flow"], 1);
    for bad in
        [format!("/flow/{id}.exe"), format!("/flow/{id}."), "/flow/none.svg".into(), "/flow/none".into()]
    {
        admin.get(&bad).await.has_status(404).is_refused("not_found");
    }
}

fn base64url(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let digits = bytes.chunks(3).flat_map(|three| {
        let number = three.iter().fold(0_usize, |number, byte| (number << 8) | usize::from(*byte));
        let number = number << (8 * (3 - three.len()));
        (0..=three.len()).map(move |place| char::from(DIGITS[(number >> (18 - 6 * place)) & 63]))
    });
    digits.collect()
}

/// The names of the elements of a picture.
fn elements(svg: &str) -> std::collections::BTreeSet<String> {
    let name =
        |rest: &str| rest.split([' ', '>', '/']).find(|name| !name.is_empty()).unwrap_or_default().to_owned();
    svg.split('<').skip(1).map(name).collect()
}

#[tokio::test]
async fn nothing_that_a_visitor_sends_draws_markup_breaks_a_line_or_grows_memory() {
    let site = Site::with(&[("dev", "true")]).await;
    let here = site.visitor().from([127, 0, 0, 1]);
    let ada = site.logged_in("ada").await;
    ada.get("/dashboard").await.has_status(200);
    let usual = elements(&here.get(&format!("/flow/{}.svg", last(&here).await)).await.text());
    let list: Value = serde_json::from_str(include_str!("../../../tests/data/blns.json")).unwrap();
    let strings = list["strings"].as_array().unwrap().iter().map(|text| text.as_str().unwrap().to_owned());
    let own = [
        "</script><script>alert(1)</script>",
        "\r\ndata: {}\n\nevent: flow",
        "\u{202e}]]><svg onload=x>",
        "click A href",
    ];
    for text in strings.chain(own.map(str::to_owned)).chain(["x".repeat(20_000)]) {
        site.app.flows.tick(site.app.now(), Duration::from_secs(1));
        ada.patch("/profile", json!({ "name": text })).await;
        ada.get("/dashboard").await.has_status(200);
        let path: String = text.bytes().take(2_000).map(|byte| format!("%{byte:02x}")).collect();
        site.visitor().get(&format!("/{path}")).await;
        site.visitor().post("/login", json!({ "email": text, "password": PASSWORD, "mode": text })).await;
        let head = json!({ "alg": text, "kid": text, "typ": text }).to_string();
        let forged = site.visitor();
        forged.hold(Some(&format!("{}.e30.AA", base64url(head.as_bytes()))), Some(""));
        forged.get("/profile").await;
        if let Ok(value) = http::HeaderValue::from_bytes(text.as_bytes()) {
            let request = site.visitor().request(Method::GET, "/profile");
            let request = request.header(header::USER_AGENT, value.clone()).header(header::REFERER, value);
            site.visitor().send(request, "").await;
        }
        let list = here.get("/flow?limit=6").await;
        assert!(list.body.len() < 60_000, "{text}: {} bytes", list.body.len());
        for flow in list.is_ok()["flows"].as_array().unwrap() {
            let id = flow["id"].as_str().unwrap();
            let svg = here.get(&format!("/flow/{id}.svg")).await.text();
            assert!(elements(&svg).is_subset(&usual), "{text}: {:?}", elements(&svg).difference(&usual));
            for form in ["svg", "txt", "mmd"] {
                let file = here.get(&format!("/flow/{id}.{form}")).await.text();
                assert!(!file.contains(|c: char| c.is_control() && c != '\n'), "{text}: {file}");
                assert!(file.len() < 100_000 && !file.contains('\u{202e}'), "{text}");
            }
        }
    }
}

#[tokio::test]
async fn a_viewer_that_is_too_slow_loses_frames_and_no_request_waits_for_it() {
    let site = Site::new().await;
    let admin = site.admin("grace").await;
    let mut watched = Watched::open(&site, &admin, "").await.map_err(|answer| answer.text()).unwrap();
    watched.hears_of("event: current").await;
    for _ in 0..400 {
        site.visitor().get("/profile").await.has_status(401);
    }
    watched.hears_of("event: dropped\ndata: {\"count\":").await;
    let list = admin.get("/flow").await.is_ok();
    let counts = list["refusals"].as_array().unwrap().iter().map(|one| one["count"].as_u64().unwrap());
    assert_eq!(counts.sum::<u64>(), 400);
}
