use std::convert::Infallible;

use axum::body::{Body, Bytes};
use doorward_core::role::RoleName;
use futures_util::stream;
use http::{Method, header};
use serde_json::{Value, json};

use crate::testing::{Answer, PASSWORD, Site, Visitor};

async fn send(visitor: &Visitor, content_type: &str, body: impl Into<Body>) -> Answer {
    let request = visitor.request(Method::POST, "/login").header(header::CONTENT_TYPE, content_type);
    visitor.send(request, body).await
}

async fn send_json(visitor: &Visitor, body: impl Into<Body>) -> Answer {
    send(visitor, "application/json", body).await
}

fn login() -> String {
    json!({ "email": "ada@example.org", "password": PASSWORD }).to_string()
}

async fn site_with_ada() -> (Site, Visitor) {
    let site = Site::new().await;
    site.registered("ada").await;
    let visitor = site.visitor();
    (site, visitor)
}

#[tokio::test]
async fn what_is_no_object_in_utf_8_with_distinct_names_is_malformed() {
    let (_site, visitor) = site_with_ada().await;
    let nested = |depth: usize| format!("{{\"a\":{}1{}}}", "[".repeat(depth), "]".repeat(depth));
    let bodies: Vec<Vec<u8>> = vec![
        b"{".to_vec(),
        b"[]".to_vec(),
        b"\"text\"".to_vec(),
        b"null".to_vec(),
        b"7".to_vec(),
        format!("{} x", login()).into_bytes(),
        format!("{}{}", login(), login()).into_bytes(),
        format!("\u{feff}\u{feff}{}", login()).into_bytes(),
        format!(" \u{feff}{}", login()).into_bytes(),
        b"{\"email\":\"ada@example.org\",\"password\":\"\xff\xfe\"}".to_vec(),
        b"{\"email\":\"\\ud800\"}".to_vec(),
        login().encode_utf16().flat_map(u16::to_le_bytes).collect(),
        login().replacen('{', "{\"email\":\"eve@example.org\",", 1).into_bytes(),
        login().replacen('{', "{\"\\u0065mail\":\"eve@example.org\",", 1).into_bytes(),
        login().replace('"', "'").into_bytes(),
        login().replace('}', ",}").into_bytes(),
        b"{\"a\":NaN}".to_vec(),
        b"{\"a\":1e999}".to_vec(),
        nested(200).into_bytes(),
        nested(30_000).into_bytes(),
    ];
    for body in bodies {
        let text = String::from_utf8_lossy(&body[..body.len().min(60)]).into_owned();
        let answer = send_json(&visitor, body).await;
        assert_eq!(answer.status, 400, "{text}: {}", answer.text());
        answer.is_refused("malformed");
    }
    for (body, message) in [
        ("{\n'email':1}", "The body is not valid JSON (line 2, column 1)"),
        ("{\"a\":1,\"a\":2}", "The body is JSON, but not an object with distinct names (line 1, column 13)"),
    ] {
        assert_eq!(send_json(&visitor, body).await.is_refused("malformed")["message"], message);
    }
    send_json(&visitor, login()).await.is_ok();
}

#[tokio::test]
async fn a_body_nested_without_end_is_too_large_before_it_is_read() {
    let (_site, visitor) = site_with_ada().await;
    let body = format!("{}{}", "{\"a\":".repeat(100_000), "}".repeat(100_000));
    send_json(&visitor, body).await.has_status(413).is_refused("too_large");
}

#[tokio::test]
async fn unknown_fields_do_nothing_and_a_field_of_another_type_is_named() {
    let (_site, visitor) = site_with_ada().await;
    let body = login().replacen('{', "{\"x\":{\"y\":[null,1.5e3]},\"constructor\":1,\"__proto__\":{},", 1);
    send_json(&visitor, body).await.is_ok();
    for wrong in [json!(1), json!(true), json!([]), json!({}), json!(1.5)] {
        let body = json!({ "email": wrong, "password": PASSWORD });
        let problem = send_json(&visitor, body.to_string()).await.has_status(422).is_refused("invalid_input");
        assert_eq!(problem["fields"], json!([{ "field": "email", "message": "must be a text" }]), "{wrong}");
    }
    let null =
        send_json(&visitor, json!({ "email": null, "password": PASSWORD, "mode": null }).to_string()).await;
    assert_eq!(null.is_refused("invalid_input")["fields"][0]["message"], "is required");
}

#[tokio::test]
async fn every_wrong_field_of_a_body_is_named_at_once() {
    let site = Site::new().await;
    let body = json!({
        "name": " ", "email": "ada", "password": "short", "mode": "paper", "invite": 1, "device": true,
        "return_to": [], "unknown": 7,
    });
    let problem = site.visitor().post("/register", body).await.has_status(422).is_refused("invalid_input");
    let wrong: Vec<_> = problem["fields"].as_array().unwrap().iter().map(|one| &one["field"]).collect();
    assert_eq!(wrong, ["name", "email", "mode", "invite", "device", "return_to", "password"]);
    let person = json!({ "name": "Ada Lovelace", "email": "ada@example.org", "password": "ada@example.org" });
    let problem = site.visitor().post("/register", person).await.is_refused("invalid_input");
    assert_eq!(problem["fields"][0]["field"], "password", "a rule about several fields is checked too");
}

#[tokio::test]
async fn a_page_that_asks_for_the_password_sends_the_form_to_its_address_below_the_base_path() {
    let site = Site::with(&[("base_path", "/auth")]).await;
    site.user("root", RoleName::ADMIN).await;
    let root = site.visitor();
    let login = json!({ "email": "root@example.org", "password": PASSWORD, "mode": "session" });
    root.post("/auth/login", login).await.is_ok();
    let fields = [("email", "eve@example.org"), ("role", "admin"), ("note", "\"<kept>")];
    let page = root.form("/auth/admin/invitations", &fields).await.has_status(403).text();
    let page = page.replace("&#x2f;", "/");
    assert!(page.contains("<form method=\"post\" action=\"/auth/admin/invitations\">"), "{page}");
    assert!(page.contains("name=\"note\" value=\"&quot;&lt;kept&gt;\""), "{page}");
    assert!(page.contains("<a href=\"/auth/admin/invitations\">Go back without it</a>"), "{page}");
}

#[tokio::test]
async fn only_json_and_forms_in_utf_8_and_uncoded_are_read() {
    let (_site, visitor) = site_with_ada().await;
    for good in [
        "application/json",
        "Application/JSON",
        "application/json; charset=utf-8",
        "application/json;charset=\"UTF-8\"",
        "application/json;charset=utf8",
        "application/json; charset=utf-8; v=1",
    ] {
        send(&visitor, good, login()).await.is_ok();
    }
    send_json(&visitor, format!("\u{feff}{}", login())).await.is_ok();
    for bad in [
        "",
        "text/plain",
        "text/json",
        "application/json; charset=utf-16",
        "application/json, text/plain",
        "application/jsonx",
        "multipart/form-data; boundary=x",
        "application/xml",
        "application/problem+json",
        "text/plain; application/json",
        "text/plain; charset=utf-8; application/json",
        "application/x-www-form-urlencodedx",
    ] {
        send(&visitor, bad, login()).await.has_status(415).is_refused("unsupported_media_type");
    }
    let request = visitor.request(Method::POST, "/login");
    visitor.send(request, login()).await.has_status(415).is_refused("unsupported_media_type");
    for coding in ["gzip", "br", "identity"] {
        let request = visitor
            .request(Method::POST, "/login")
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::CONTENT_ENCODING, coding);
        visitor.send(request, login()).await.has_status(415).is_refused("unsupported_media_type");
    }
}

#[tokio::test]
async fn a_body_over_the_limit_is_refused_whether_it_says_its_length_or_not() {
    let (_site, visitor) = site_with_ada().await;
    let padded = |length: usize| format!("{}{}", login(), " ".repeat(length - login().len()));
    send_json(&visitor, padded(65_536)).await.is_ok();
    send_json(&visitor, padded(65_537)).await.has_status(413).is_refused("too_large");
    let piece = Ok::<_, Infallible>(Bytes::from(vec![b' '; 10_000]));
    let endless = Body::from_stream(stream::repeat(piece));
    send_json(&visitor, endless).await.has_status(413).is_refused("too_large");
    let request = visitor
        .request(Method::POST, "/login")
        .header(header::CONTENT_TYPE, "application/json")
        .header(header::CONTENT_LENGTH, "65537");
    let nothing = Body::from_stream(stream::pending::<Result<Bytes, Infallible>>());
    visitor.send(request, nothing).await.has_status(413).is_refused("too_large");
}

#[tokio::test]
async fn a_body_that_does_not_come_or_breaks_off_is_given_up() {
    let site = Site::with(&[("http.body_timeout", "1ms")]).await;
    let nothing = Body::from_stream(stream::pending::<Result<Bytes, Infallible>>());
    send_json(&site.visitor(), nothing).await.has_status(408).is_refused("timeout");
    let broken = Body::from_stream(stream::iter([Ok(Bytes::from("{")), Err(std::io::Error::other("gone"))]));
    send_json(&site.visitor(), broken).await.has_status(400).is_refused("malformed");
}

#[tokio::test]
async fn json_without_its_content_type_is_told_what_to_send() {
    let (_site, visitor) = site_with_ada().await;
    let as_form = "application/x-www-form-urlencoded";
    for (headers, body, what) in [
        (&[][..], login(), "no Content-Type"),
        (&[("content-type", "")], login(), "no Content-Type"),
        (&[("accept", "text/html")], login(), "no Content-Type"),
        // As `curl -d` sends it.
        (&[("content-type", as_form)], login(), "is a form"),
        (
            &[("content-type", as_form), ("accept", "text/html")],
            format!("\u{feff}\n {}", login()),
            "is a form",
        ),
        (&[("content-type", "text/plain; application/json")], login(), "not one that is read"),
        (&[("content-type", "application/json"), ("content-type", "application/json")], login(), "two"),
        (&[("content-type", "application/json; charset=latin1")], login(), "not UTF-8"),
        (&[("content-type", "application/x-www-form-urlencoded; charset=latin1")], "a=b".into(), "not UTF-8"),
        (&[("content-type", "application/json"), ("content-encoding", "gzip")], login(), "Content-Encoding"),
    ] {
        for path in ["/login", "/register", "/refresh", "/password/reset"] {
            let mut request = visitor.request(Method::POST, path);
            for (name, value) in headers {
                request = request.header(*name, *value);
            }
            let answer = visitor.send(request, body.clone()).await;
            let problem = answer.has_status(415).is_refused("unsupported_media_type");
            let message = problem["message"].as_str().unwrap();
            assert!(
                message.contains(what) && message.contains("Content-Type: application/json"),
                "{message}"
            );
        }
    }
    let empty = visitor.request(Method::POST, "/login");
    visitor.send(empty, Body::empty()).await.has_status(422).is_refused("invalid_input");
}

#[tokio::test]
async fn what_is_too_much_or_not_there_is_named() {
    let (_site, visitor) = site_with_ada().await;
    let message = |answer: &Answer| answer.json()["message"].as_str().unwrap().to_owned();
    let large = send_json(&visitor, " ".repeat(65_537)).await;
    assert_eq!(message(large.has_status(413)), "The request body is too large: at most 65536 bytes");
    for (method, path, methods) in [
        (Method::PUT, "/healthz", "GET, HEAD"),
        (Method::GET, "/logout", "POST"),
        (Method::GET, "/refresh", "POST"),
    ] {
        let answer = visitor.json(method, path, Value::Null).await;
        let said = format!("This address has no such method: it has {methods}");
        assert_eq!(message(answer.has_status(405)), said, "{path}");
        assert_eq!(answer.header("allow").unwrap().replace(',', ", "), methods, "{path}");
    }
    let wrong = || json!({ "email": "ada@example.org", "password": "not the right one" });
    for _ in 0..10 {
        visitor.post("/login", wrong()).await.has_status(401);
    }
    let answer = visitor.post("/login", wrong()).await;
    let seconds = answer.has_status(429).header("retry-after").unwrap();
    assert_eq!(message(&answer), format!("Too many attempts: try again in {seconds} seconds"));
}

#[tokio::test]
async fn a_form_is_utf_8_and_has_each_field_once() {
    let (_site, visitor) = site_with_ada().await;
    let form = "application/x-www-form-urlencoded";
    let good = format!("email=ada%40example.org&password={}", PASSWORD.replace(' ', "+"));
    send(&visitor, form, good.clone()).await.goes_to("/dashboard");
    send(&visitor, "application/x-www-form-urlencoded; charset=UTF-8", good.clone())
        .await
        .goes_to("/dashboard");
    for bad in ["&email=eve%40example.org", "&x=%ff", "&%65mail=x"] {
        let answer = send(&visitor, form, format!("{good}{bad}")).await;
        assert!(answer.has_status(400).text().contains("malformed"), "{bad}");
    }
    let raw = [good.as_bytes(), b"&x=\xff"].concat();
    send(&visitor, form, raw).await.has_status(400);
    send(&visitor, form, format!("\u{feff}{good}")).await.goes_to("/dashboard");
    send(&visitor, "application/x-www-form-urlencoded; charset=latin1", good).await.has_status(415);
}

#[tokio::test]
async fn a_query_has_each_name_once() {
    let site = Site::new().await;
    let admin = site.admin("root").await;
    for query in ["limit=1&limit=1", "search=a&%73earch=b", "x&x"] {
        admin.get(&format!("/admin/users?{query}")).await.has_status(400).is_refused("malformed");
    }
    admin.get("/admin/users?&&limit=1&=&unknown=%ff").await.is_ok();
    let empty: Value = admin.get("/admin/users?search=%ff").await.is_ok();
    assert_eq!(empty["users"], json!([]));
}
