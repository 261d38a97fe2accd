//! How a token is sent: the text around it, and the places that are not read.

use http::Method;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use serde_json::{Value, json};

use super::*;
use crate::support::{is_unauthorized, on_the_wire};

#[tokio::test]
async fn j35_nothing_is_trimmed_or_decoded_around_a_token() {
    let target = Target::new().await;
    let own = target.admin.token().unwrap();
    for extra in ["\"", "'", "\u{feff}", "%20", "%2E", "<", "\u{200b}", ",", "Bearer ", "=", "\\"] {
        for forged in [format!("{extra}{own}"), format!("{own}{extra}"), format!("{extra}{own}{extra}")] {
            target.refuses(forged).await;
        }
    }
    for forged in [
        own.replace('.', "%2E"),
        own.to_lowercase(),
        own.to_uppercase(),
        own.replace('.', " "),
        own.replace('.', "\t. "),
    ] {
        target.refuses(forged).await;
    }
    for forged in [
        format!("Bearer  {own}"),
        format!("Bearer \t{own}"),
        format!("Bearer {own} "),
        format!("Bearer {own}\t"),
    ] {
        target.refuses_header("token_invalid", "authorization", forged.as_bytes()).await;
    }
    target.stands().await;
}

#[tokio::test]
async fn j35_a_control_byte_in_a_header_reaches_nobody() {
    let target = Target::new().await;
    let own = target.admin.token().unwrap();
    let address = target.site.listen().await;
    for name in ["Authorization: Bearer ", "Cookie: __Host-token="] {
        for byte in ["\0", "\u{1}", "\u{b}", "\u{7f}", "\n", "\r"] {
            for value in
                [format!("{own}{byte}"), format!("{byte}{own}"), own.replacen('.', &format!(".{byte}"), 1)]
            {
                let head =
                    format!("GET /profile HTTP/1.1\r\nHost: x\r\n{name}{value}\r\nConnection: close\r\n\r\n");
                let answer = on_the_wire(address, head.as_bytes()).await;
                // To a lenient parser a bare line feed at the end is a line's end (RFC 9112 section 2.2): then the
                // token is complete. Everything else is refused.
                let whole = byte == "\n" && value.ends_with('\n');
                let refused =
                    ["HTTP/1.1 400 ", "HTTP/1.1 401 "].iter().any(|status| answer.starts_with(status));
                assert!(
                    refused || (whole && answer.starts_with("HTTP/1.1 200 ")),
                    "{byte:?} {value:?}: {answer}"
                );
            }
        }
    }
    target.stands().await;
}

#[tokio::test]
async fn j36_authorization_has_one_form() {
    let target = Target::new().await;
    let own = target.admin.token().unwrap();
    for scheme in ["Bearer", "bearer", "BEARER", "bEaReR"] {
        target.ask("GET", "/profile", "authorization", format!("{scheme} {own}").as_bytes()).await.is_ok();
    }
    for value in [
        String::new(),
        "Bearer".into(),
        "Bearer ".into(),
        "Bearer  ".into(),
        own.clone(),
        format!("Bearer{own}"),
        format!("Bearer={own}"),
        format!("Bearer:{own}"),
        format!("Bearer\t{own}"),
        format!("Bearer {own} {own}"),
        format!("Bearer {own},{own}"),
        format!("Bearer {own}, Bearer {own}"),
        format!("Basic Og==, Bearer {own}"),
        format!("Basic {own}"),
        format!("Token {own}"),
        format!("JWT {own}"),
        format!("Negotiate {own}"),
        format!("DPoP {own}"),
        format!("Bearer token=\"{own}\""),
    ] {
        target.refuses_header("token_invalid", "authorization", value.as_bytes()).await;
    }
    for (first, second) in [
        (format!("Bearer {own}"), format!("Bearer {own}")),
        (format!("Bearer {own}"), "Basic Og==".into()),
        ("Basic Og==".into(), format!("Bearer {own}")),
        (format!("Bearer {own}"), String::new()),
        (String::new(), format!("Bearer {own}")),
    ] {
        for (method, path) in [("GET", "/profile"), ("GET", "/admin/users"), ("POST", "/logout/all")] {
            let visitor = target.site.visitor();
            let request = visitor.request(method.parse().unwrap(), path);
            let request = request.header(AUTHORIZATION, &first).header(AUTHORIZATION, &second);
            is_unauthorized(
                &visitor.send(request, "").await,
                "token_invalid",
                &format!("{first:?} {second:?}"),
            );
        }
    }
    target.stands().await;
}

#[tokio::test]
async fn j37_nobody_looks_for_a_token_elsewhere() {
    let target = Target::new().await;
    let own = target.admin.token().unwrap();
    for name in [
        "x-access-token",
        "x-auth-token",
        "x-token",
        "token",
        "access_token",
        "proxy-authorization",
        "x-authorization",
        "x-forwarded-access-token",
        "sec-websocket-protocol",
        "x-original-authorization",
    ] {
        for value in [own.clone(), format!("Bearer {own}"), format!("bearer, {own}")] {
            target.refuses_header("token_missing", name, value.as_bytes()).await;
        }
    }
    for name in [
        "token",
        "access_token",
        "jwt",
        "__Secure-token",
        "__host-token",
        "Host-token",
        "__Host-access_token",
        "session",
        "Authorization",
    ] {
        target.refuses_header("token_missing", "cookie", format!("{name}={own}").as_bytes()).await;
    }
    for query in ["token", "access_token", "jwt", "authorization", "bearer", "__Host-token"] {
        for path in ["/profile", "/dashboard", "/sessions", "/admin/users"] {
            let answer = target.site.visitor().get(&format!("{path}?{query}={own}")).await;
            is_unauthorized(&answer, "token_missing", &format!("{path}?{query}"));
        }
    }
    for body in
        [json!({ "token": own, "access_token": own }), json!({ "authorization": format!("Bearer {own}") })]
    {
        is_unauthorized(&target.site.visitor().post("/logout/all", body).await, "token_missing", "JSON");
    }
    // A form is sent by a person, who is redirected to the login.
    let answer = target.site.visitor().form("/logout/all", &[("access_token", &own), ("token", &own)]).await;
    answer.goes_to("/login");
    let request = target
        .site
        .visitor()
        .request(Method::POST, "/logout/all")
        .header(CONTENT_TYPE, "multipart/form-data; boundary=x");
    let body =
        format!("--x\r\nContent-Disposition: form-data; name=\"access_token\"\r\n\r\n{own}\r\n--x--\r\n");
    is_unauthorized(&target.site.visitor().send(request, body).await, "token_missing", "multipart");
    target.stands().await;
}

#[tokio::test]
async fn j42_a_page_goes_to_the_login_whatever_was_wrong() {
    let (target, forger) = known_secret().await;
    for token in [
        forger.with_claim("aud", Some("\"other\"")),
        maced("x", forger.own_header(), forger.own_payload()),
        "x".into(),
    ] {
        let visitor = target.site.visitor();
        visitor.hold_cookie("__Host-token", &token);
        let answer = visitor.page("/dashboard").await;
        answer.goes_to("/login?return_to=%2Fdashboard");
        assert!(answer.set_cookies().is_empty());
        let request = visitor.request(Method::GET, "/admin/users").header(ACCEPT, "text/html");
        assert_eq!(visitor.send(request, "").await.status, 303);
    }
    let visitor = target.site.visitor();
    assert_eq!(visitor.post("/refresh", Value::Null).await.status, 401);
    target.stands().await;
}

#[tokio::test]
async fn j42_older_clients_get_403_for_all_of_them_alike() {
    let settings = [("JWT_SECRET", SECRET), ("http.invalid_token_status", "403")];
    let target = Target::with(&settings).await;
    let forger = Forger::after(&target.admin.token().unwrap());
    for token in [
        forger.with_claim("aud", Some("\"other\"")),
        maced("x", forger.own_header(), forger.own_payload()),
        "x".into(),
    ] {
        let answer =
            target.ask("GET", "/profile", "authorization", format!("Bearer {token}").as_bytes()).await;
        answer.has_status(403).is_refused("token_invalid");
    }
    target.site.visitor().get("/profile").await.has_status(401).is_refused("token_missing");
    target.stands().await;
}
