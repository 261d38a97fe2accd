//! Odd `Cookie` headers on every route.

use doorward_core::Mode;

use super::*;

/// A header of a vector, with name and value of the credential cookie inserted.
fn filled(header: &Value, (name, value): (&str, &str), (token, other): (&str, &str)) -> Vec<u8> {
    let bare = name.trim_start_matches("__Host-");
    let swapped: String = name
        .chars()
        .map(|c| if c.is_lowercase() { c.to_ascii_uppercase() } else { c.to_ascii_lowercase() })
        .collect();
    let text = header.as_str().unwrap();
    let text = text
        .replace("{name-lower-or-upper-swapped}", &swapped)
        .replace("{NAME-with-one-letter-percent-encoded}", &name.replacen('o', "%6f", 1))
        .replace(
            "{VALUE-percent-encoded}",
            &value.bytes().map(|byte| format!("%{byte:02x}")).collect::<String>(),
        )
        .replace("{NAME}", name)
        .replace("{VALUE}", value)
        .replace("{BARE}", bare)
        .replace("{ACCESS}", token)
        .replace("{ACCESS_OF_OTHER_USER}", other);
    // Beyond ASCII the vectors mean bytes.
    text.chars().map(|c| u8::try_from(c).unwrap_or(b'?')).collect()
}

#[tokio::test]
async fn k04_every_odd_cookie_header_is_one_user_or_nobody_on_every_route() {
    let vectors: Value = serde_json::from_str(include_str!("../../data/cookie_request_header.json")).unwrap();
    let house = House::new().await;
    let other = house.site.logged_in("grace").await;
    let tokens = (house.admin.token().unwrap(), other.token().unwrap());
    for mode in [Mode::Cookie, Mode::Session] {
        let ada = house.site.logged_in_by("ada", mode).await;
        let name = if mode == Mode::Cookie { "__Host-token" } else { "__Host-sessionId" };
        let value = ada.cookie(name).unwrap();
        for vector in vectors["tests"].as_array().unwrap() {
            let (id, expect) = (vector["id"].as_str().unwrap(), vector["expect"].as_str().unwrap());
            for (_, path) in house.routes(|route| route.method == "GET") {
                let nobody = house.site.visitor();
                let mut request = nobody.request(Method::GET, &path);
                for header in vector["headers"].as_array().unwrap() {
                    let filled = filled(&header[1], (name, &value), (&tokens.0, &tokens.1));
                    let Ok(filled) = http::HeaderValue::from_bytes(&filled) else { continue };
                    request = request.header(header[0].as_str().unwrap(), filled);
                }
                let answer = soon(nobody.send(request, ""), id).await;
                is_clean(&answer, id);
                if path == "/profile" {
                    let kind = match answer.status.as_u16() {
                        200 => "auth",
                        401 if answer.json()["code"] == "token_missing" => "none",
                        _ => "reject",
                    };
                    let refused = kind == "reject" && !expect.contains("auth") && expect.contains("none");
                    let one = kind == "auth" && expect.starts_with("one-identity");
                    let nobody = kind != "auth" && expect.contains("auth-or");
                    assert!(
                        expect.contains(kind) || refused || one || nobody,
                        "{id} ({mode}): {expect}, {}",
                        answer.text()
                    );
                }
            }
        }
    }
}

#[tokio::test]
async fn k04_foreign_cookies_of_any_form_do_no_harm_on_any_route() {
    let vectors: Value = serde_json::from_str(include_str!("../../data/set_cookie_http_state.json")).unwrap();
    let house = House::new().await;
    let ada = house.site.logged_in_by("ada", Mode::Session).await;
    let ours = format!("__Host-sessionId={}", ada.cookie("__Host-sessionId").unwrap());
    let strings = naughty();
    let received =
        vectors["tests"].as_array().unwrap().iter().flat_map(|test| test["received"].as_array().unwrap());
    let lines: Vec<String> = received.map(|line| line.as_str().unwrap().to_owned()).chain(strings).collect();
    assert!(lines.len() > 300, "{}", lines.len());
    for line in &lines {
        for (first, second) in [(line.as_str(), ours.as_str()), (ours.as_str(), line.as_str())] {
            let (Ok(first), Ok(second)) = (
                http::HeaderValue::from_bytes(first.as_bytes()),
                http::HeaderValue::from_bytes(second.as_bytes()),
            ) else {
                continue;
            };
            for path in ["/profile", "/dashboard", "/login", "/refresh", "/logout"] {
                let nobody = house.site.visitor();
                let method = if matches!(path, "/refresh" | "/logout") { Method::POST } else { Method::GET };
                // Signing out is tried only with the foreign ones.
                let request = nobody.request(method, path).header(header::COOKIE, first.clone());
                let request = if path == "/logout" {
                    nobody.request(Method::POST, path).header(header::COOKIE, line.as_bytes())
                } else {
                    request.header(header::COOKIE, second.clone())
                };
                let answer = nobody.send(request, "").await;
                is_clean(&answer, line);
                if path == "/profile" {
                    assert_eq!(answer.is_ok()["user"]["name"], "ada", "{line:?}");
                }
            }
        }
    }
}
