//! Which cookie is the credential if there are many, or strange ones.

use doorward_core::Mode;
use http::Method;
use http::header::COOKIE;
use serde_json::Value;

use super::*;
use crate::support::{Target, is_unauthorized, on_the_wire, state};

/// An admin and a user in this mode, and the name of the cookie that holds their credential.
async fn two(target: &Target, mode: Mode) -> (&'static str, String, String) {
    let name = if mode == Mode::Session { SESSION } else { TOKEN };
    let (admin, user) =
        (target.site.logged_in_by("ada", mode).await, target.site.logged_in_by("grace", mode).await);
    (name, admin.cookie(name).unwrap(), user.cookie(name).unwrap())
}

#[tokio::test]
async fn k01_one_live_session_counts_on_every_route_and_two_are_refused() {
    let target = Target::new().await;
    for mode in [Mode::Cookie, Mode::Session] {
        let (name, good, other) = two(&target, mode).await;
        let ended = target.site.logged_in_by("ada", mode).await;
        let dead = ended.cookie(name).unwrap();
        ended.post("/logout", Value::Null).await.is_ok();
        let before = state(&target.site).await;
        for (first, second) in
            [(&*good, "bad"), ("bad", &*good), (&*good, ""), (&*dead, &*good), (&*good, &*good)]
        {
            for line in [
                format!("{name}={first}; {name}={second}"),
                format!("{name}={first};{name}={second}"),
                format!("a=b; {name}={first}; c=d; {name}={second}; e=f"),
            ] {
                for path in ["/profile", "/dashboard", "/sessions", "/admin/users"] {
                    target.ask("GET", path, "cookie", line.as_bytes()).await.is_ok();
                }
                let profile = target.ask("GET", "/profile", "cookie", line.as_bytes()).await.is_ok();
                assert_eq!(profile["user"]["name"], "ada");
            }
        }
        for (first, second) in [(&*good, &*other), (&*other, &*good)] {
            for line in [
                format!("{name}={first}; {name}={second}"),
                format!("{name}={dead};{name}={first};{name}=bad;{name}={second}"),
            ] {
                target.refuses_header("ambiguous_cookies", "cookie", line.as_bytes()).await;
            }
            for (method, path) in [("GET", "/profile"), ("GET", "/admin/users"), ("POST", "/logout/all")] {
                let visitor = target.site.visitor();
                let request = visitor.request(method.parse().unwrap(), path);
                let request = request
                    .header(COOKIE, format!("{name}={first}"))
                    .header(COOKIE, format!("{name}={second}"));
                is_unauthorized(&visitor.send(request, "").await, "ambiguous_cookies", "two lines");
            }
        }
        assert_eq!(state(&target.site).await, before);
    }
}

#[tokio::test]
async fn k01_of_several_refresh_cookies_the_live_one_counts_and_two_refresh_nothing() {
    let target = Target::new().await;
    let (one, two) = (
        target.site.logged_in_by("lin", Mode::Cookie).await,
        target.site.logged_in_by("eve", Mode::Cookie).await,
    );
    let ended = target.site.logged_in_by("eve", Mode::Cookie).await;
    let (good, other, dead) =
        (one.cookie(REFRESH).unwrap(), two.cookie(REFRESH).unwrap(), ended.cookie(REFRESH).unwrap());
    ended.post("/logout", Value::Null).await.is_ok();
    let phone = target.site.logged_in_by("eve", Mode::Session).await;
    let (token, secret) = (two.cookie(TOKEN).unwrap(), phone.cookie(SESSION).unwrap());
    let before = state(&target.site).await;
    let ask = async |cookies: &str| {
        let visitor = target.site.visitor();
        visitor.send(visitor.request(Method::POST, "/refresh").header(COOKIE, cookies), "").await
    };
    for (first, second) in [(&good, &other), (&other, &good)] {
        let answer = ask(&format!("{REFRESH}={first}; {REFRESH}={dead}; {REFRESH}={second}")).await;
        is_unauthorized(&answer, "ambiguous_cookies", "two");
        assert!(answer.set_cookies().is_empty());
    }
    // Beside another user's live credential it would change the account.
    for beside in [format!("{TOKEN}={token}"), format!("{SESSION}={secret}")] {
        let answer = ask(&format!("{REFRESH}={good}; {beside}")).await;
        is_unauthorized(&answer, "ambiguous_cookies", &beside);
    }
    // One in the body and one in the cookie are two as well.
    let visitor = target.site.visitor();
    visitor.hold_cookie(REFRESH, &good);
    let both = visitor.post("/refresh", json!({ "refresh_token": other })).await;
    both.has_status(400).is_refused("malformed");
    let many = (0..65).map(|n| format!("{REFRESH}={n}; ")).collect::<String>();
    ask(&many).await.has_status(400).is_refused("too_many_cookies");
    assert_eq!(state(&target.site).await, before);
    for line in [
        format!(
            "{REFRESH}={dead}; {REFRESH}=x; {REFRESH}={good}; {TOKEN}={}",
            ended.cookie(TOKEN).unwrap_or_default()
        ),
        format!("{REFRESH}={good}; {REFRESH}={good}"),
        format!("{}{REFRESH}={good}", (0..63).map(|n| format!("{REFRESH}={n}; ")).collect::<String>()),
    ] {
        ask(&line).await.is_ok();
    }
    two.refresh().await.is_ok();
}

#[tokio::test]
async fn k01_a_mix_of_two_users_can_always_log_out_and_ends_both() {
    let target = Target::new().await;
    let mixed = target.site.logged_in_by("lin", Mode::Cookie).await;
    let other = target.site.logged_in_by("eve", Mode::Session).await;
    let thief = mixed.copy();
    mixed.hold_cookie(SESSION, &other.cookie(SESSION).unwrap());
    for path in ["/profile", "/dashboard", "/sessions"] {
        is_unauthorized(&mixed.get(path).await, "ambiguous_cookies", path);
    }
    assert_eq!(mixed.post("/logout", Value::Null).await.has_status(200).set_cookies().len(), 4);
    assert_eq!((mixed.cookie(TOKEN), mixed.cookie(SESSION), mixed.cookie(REFRESH)), (None, None, None));
    thief.get("/profile").await.has_status(401).is_refused("session_ended");
    other.get("/profile").await.has_status(401).is_refused("session_ended");
    target.admin.get("/profile").await.is_ok();
}

#[tokio::test]
async fn x03_the_page_of_two_sign_ins_ends_both_also_where_their_cookies_do_not_travel() {
    let target = Target::new().await;
    let mixed = target.site.logged_in_by("lin", Mode::Cookie).await;
    let planted = target.site.logged_in_by("eve", Mode::Session).await;
    let secret = planted.cookie(SESSION).unwrap();
    // As if planted for one path: it is sent to no other.
    let at_dashboard = mixed.request(Method::GET, "/dashboard").header("accept", "text/html");
    let line = format!("{SESSION}={secret}");
    let page = mixed.send(at_dashboard.header(COOKIE, line), "").await;
    assert!(page.has_status(401).set_cookies().is_empty());
    let text = page.text();
    let ticket = text.split("name=\"ticket\" value=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    assert!(text.contains("action=\"/logout\"") && !text.contains(&secret));
    let forged = format!("{}{}", if ticket.starts_with('A') { 'B' } else { 'A' }, &ticket[1..]);
    target.site.visitor().form("/logout", &[("ticket", &forged)]).await.goes_to("/login?done=signed-out");
    planted.get("/profile").await.is_ok();
    mixed.form("/logout", &[("ticket", &ticket)]).await.goes_to("/login?done=signed-out");
    planted.get("/profile").await.is_refused("session_ended");
    // The next sign-in is alone: the planted one is ignored.
    sign_in(&mixed, "lin", "cookie").await.is_ok();
    mixed.hold_cookie(SESSION, &secret);
    assert_eq!(name_of(&mixed).await, "lin");
    mixed.page("/dashboard").await.has_status(200);
}

#[tokio::test]
async fn x03_the_login_says_so_and_ends_both() {
    let target = Target::new().await;
    let mixed = target.site.logged_in_by("lin", Mode::Cookie).await;
    let other = target.site.logged_in_by("eve", Mode::Session).await;
    mixed.hold_cookie(SESSION, &other.cookie(SESSION).unwrap());
    let page = mixed.page("/login?return_to=/dashboard").await;
    assert!(page.has_status(200).text().contains("two different sign-ins"));
    let fields = [("email", "lin@example.org"), ("password", PASSWORD)];
    mixed.form("/login", &fields).await.goes_to("/dashboard");
    other.get("/profile").await.is_refused("session_ended");
    assert_eq!(name_of(&mixed).await, "lin");
}

#[tokio::test]
async fn x04_a_logout_ends_every_session_behind_decoys_or_clears_nothing() {
    let target = Target::new().await;
    for mode in [Mode::Cookie, Mode::Session] {
        let name = if mode == Mode::Session { SESSION } else { REFRESH };
        for decoys in [3, 63, 64] {
            let mut browsers = Vec::new();
            for user in ["lin", "eve", "lin"] {
                browsers.push(target.site.logged_in_by(user, mode).await);
            }
            let live = browsers.iter().map(|one| format!("; {name}={}", one.cookie(name).unwrap()));
            let live: String = live.take(if decoys == 3 { 3 } else { 1 }).collect();
            let line = (0..decoys).map(|n| format!("{name}=decoy{n}; ")).collect::<String>() + &live;
            let answer = target.ask("POST", "/logout", "cookie", line.as_bytes()).await;
            if decoys == 64 {
                answer.has_status(400).is_refused("too_many_cookies");
                assert!(answer.set_cookies().is_empty());
                browsers[0].get("/profile").await.is_ok();
                // A sign-in doesn't replace an ambiguous one either.
                let body = json!({ "email": "lin@example.org", "password": PASSWORD, "mode": "session" });
                let visitor = target.site.visitor();
                let request = visitor.request(Method::POST, "/login").header(COOKIE, &line);
                let request = request.header("content-type", "application/json");
                let answer = visitor.send(request, body.to_string()).await;
                answer.has_status(400).is_refused("too_many_cookies");
                assert!(answer.set_cookies().is_empty());
                continue;
            }
            answer.is_ok();
            browsers[0].get("/profile").await.is_refused("session_ended");
            for other in &browsers[1..] {
                let answer = other.get("/profile").await;
                if decoys == 3 {
                    answer.is_refused("session_ended");
                } else {
                    answer.is_ok();
                }
            }
        }
    }
}

#[tokio::test]
async fn k02_a_sibling_can_neither_toss_a_cookie_in_nor_send_a_request() {
    let target = Target::new().await;
    let (_, token, _) = two(&target, Mode::Cookie).await;
    let (_, secret, _) = two(&target, Mode::Session).await;
    let signed_in = target.site.logged_in_by("ada", Mode::Session).await;
    let before = state(&target.site).await;
    // What a browser lets another host set for the parent domain: any name but ours.
    for (name, value) in [
        ("token", &token),
        ("sessionId", &secret),
        ("Host-token", &token),
        ("__Secure-token", &token),
        ("__Secure-sessionId", &secret),
    ] {
        target.refuses_header("token_missing", "cookie", format!("{name}={value}").as_bytes()).await;
        // Beside the real one it changes nothing.
        let line = format!("{name}=x; {SESSION}={secret}");
        target.ask("GET", "/profile", "cookie", line.as_bytes()).await.is_ok();
    }
    for site in ["same-site", "cross-site"] {
        for path in
            ["/logout", "/logout/all", "/login", "/register", "/sessions/end-others", "/profile/password"]
        {
            let request = signed_in.request(Method::POST, path).header("sec-fetch-site", site);
            let answer = signed_in.send(request, "").await;
            answer.has_status(403).is_refused("cross_site_request");
            assert!(answer.set_cookies().is_empty());
        }
    }
    assert_eq!(state(&target.site).await, before);
    signed_in.get("/profile").await.is_ok();
}

/// What a browser lets another host of the domain plant: any name that doesn't begin with `__Host-`.
#[tokio::test]
async fn x02_a_planted_refresh_cookie_signs_nobody_in_and_is_in_nobodys_way() {
    let target = Target::new().await;
    let planter = target.site.logged_in_by("eve", Mode::Cookie).await;
    let stolen = planter.cookie(REFRESH).unwrap();
    for name in ["__Secure-refresh_token", "refresh_token"] {
        let alone = target.site.visitor();
        alone.hold_cookie(name, &stolen);
        alone.post("/refresh", Value::Null).await.has_status(401).is_refused("refresh_invalid");
        alone.page("/refresh?return_to=/dashboard").await.goes_to("/login?return_to=%2Fdashboard");
        for mode in [Mode::Cookie, Mode::Session] {
            let beside = target.site.logged_in_by("grace", mode).await;
            beside.hold_cookie(name, &stolen);
            assert_eq!(name_of(&beside).await, "grace");
            if mode == Mode::Cookie {
                beside.refresh().await.is_ok();
            }
            beside.page("/refresh?return_to=/dashboard").await.goes_to("/dashboard");
            assert_eq!(name_of(&beside).await, "grace");
        }
    }
    planter.refresh().await.is_ok();
}

#[tokio::test]
async fn k03_only_the_exact_name_is_the_credential() {
    let target = Target::new().await;
    for mode in [Mode::Cookie, Mode::Session] {
        let (name, good, _) = two(&target, mode).await;
        let bare = name.strip_prefix("__Host-").unwrap();
        for line in [
            format!("={name}={good}"),
            format!("=; ={good}"),
            good.clone(),
            name.to_owned(),
            format!("__hOsT-{bare}={good}"),
            format!("{}={good}", name.to_lowercase()),
            format!("{}={good}", name.to_uppercase()),
            format!("{name}2={good}"),
            format!("x{name}={good}"),
            format!("{name} ={good}"),
            format!("{name}\u{a0}={good}"),
            format!("%5F_Host-{bare}={good}"),
            format!("__Host%2D{bare}={good}"),
            format!("\"{name}\"={good}"),
            format!("__Host-{bare}[]={good}"),
            format!("__Host-{bare}.x={good}"),
            format!("__Host-{good}={bare}"),
        ] {
            target.refuses_header("token_missing", "cookie", line.as_bytes()).await;
        }
    }
    let refresh = target.site.logged_in_by("lin", Mode::Cookie).await.cookie(REFRESH).unwrap();
    let before = state(&target.site).await;
    for name in ["refresh_token", "__Secure-refresh_token", "__host-refresh_token", "=__Host-refresh_token"] {
        let answer = target.ask("POST", "/refresh", "cookie", format!("{name}={refresh}").as_bytes()).await;
        answer.has_status(401).is_refused("refresh_invalid");
    }
    assert_eq!(state(&target.site).await, before);
}

#[tokio::test]
async fn k04_a_broken_cookie_of_our_name_is_refused() {
    let target = Target::new().await;
    for mode in [Mode::Cookie, Mode::Session] {
        let (name, good, other) = two(&target, mode).await;
        let before = state(&target.site).await;
        let mut values: Vec<Vec<u8>> = [
            String::new(),
            "\"".into(),
            format!("\"{good}\""),
            format!("\"{good}"),
            format!("{good},{other}"),
            format!("{good}, {name}={other}"),
            format!("{good}=x"),
            format!("{name}={good}"),
            format!("{good} x"),
            format!("{good}%00"),
            "x".repeat(16_384),
            format!("{good}{}", "x".repeat(16_384)),
        ]
        .map(String::into_bytes)
        .into();
        for bytes in [&b"\xff"[..], b"\xc3\x28", b"\xed\xa0\x80", b"\t"] {
            values.push([good.as_bytes(), bytes, b"x"].concat());
            values.push([bytes, b"x", good.as_bytes()].concat());
        }
        // A tab at the edge is white space, which is allowed around cookies.
        values.retain(|value| !value.starts_with(b"\t"));
        for value in values {
            let line = [name.as_bytes(), b"=", &value].concat();
            target.refuses_header("token_invalid", "cookie", &line).await;
            target.ask("POST", "/logout", "cookie", &line).await.is_ok();
        }
        assert_eq!(state(&target.site).await, before);
    }
}

#[tokio::test]
async fn k04_foreign_cookies_do_no_harm_however_broken_and_many() {
    let target = Target::new().await;
    for mode in [Mode::Cookie, Mode::Session] {
        let (name, good, _) = two(&target, mode).await;
        let good = format!("{name}={good}");
        let crowd: String = (0..300).map(|at| format!("c{at}=\"v{at}; ")).collect();
        let mut lines: Vec<Vec<u8>> = [
            format!("$Version=1; {good}; $Path=/"),
            format!("$Version=\"1\"; x=\"{{; {good}; y=}}\""),
            format!("a=\"b; {good}; c=d\""),
            format!(";; ; =; ==; ,; {good};;"),
            format!("x; {good}"),
            format!("{crowd}{good}; {crowd}"),
            format!("big={}; {good}", "x".repeat(16_384)),
        ]
        .map(String::into_bytes)
        .into();
        for bytes in [&b"\xff"[..], b"\xc3\x28", b"\xed\xa0\x80", b"\xfe\xff\x80", b"\t"] {
            lines.push([b"a=", bytes, b"; ", good.as_bytes()].concat());
            lines.push([bytes, b"=a; ", good.as_bytes(), b"; ", bytes].concat());
        }
        for line in &lines {
            for path in ["/profile", "/dashboard", "/sessions", "/admin/users"] {
                target.ask("GET", path, "cookie", line).await.is_ok();
            }
        }
    }
}

#[tokio::test]
async fn k04_control_bytes_and_a_huge_cookie_end_at_the_door() {
    let target = Target::new().await;
    let (name, good, _) = two(&target, Mode::Session).await;
    let address = target.site.listen().await;
    let before = state(&target.site).await;
    let huge = "x".repeat(64 * 1_024);
    for cookie in [
        format!("{name}={good}\0"),
        format!("a=\u{1}; {name}={good}"),
        format!("a=\u{7f}; {name}={good}"),
        format!("a={huge}; {name}={good}"),
    ] {
        let head =
            format!("POST /logout/all HTTP/1.1\r\nHost: x\r\nCookie: {cookie}\r\nConnection: close\r\n\r\n");
        let answer = on_the_wire(address, head.as_bytes()).await;
        let refused = ["400", "431"].iter().any(|status| answer.starts_with(&format!("HTTP/1.1 {status} ")));
        // A head beyond the limit may be cut off before the answer is read.
        assert!(refused || (answer.is_empty() && cookie.len() > 16_384), "{answer}");
    }
    assert_eq!(state(&target.site).await, before);
    let head =
        format!("GET /profile HTTP/1.1\r\nHost: x\r\nCookie: {name}={good}\r\nConnection: close\r\n\r\n");
    let answer = on_the_wire(address, head.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer:?}");
}

#[tokio::test]
async fn k06_a_bad_bearer_never_falls_back_to_a_good_cookie() {
    let target = Target::new().await;
    for mode in [Mode::Cookie, Mode::Session] {
        let signed_in = target.site.logged_in_by("ada", mode).await;
        let before = state(&target.site).await;
        for bad in ["", "Bearer", "Bearer ", "Bearer x", "Basic YTpi", "Negotiate x", "x"] {
            for (method, path) in [
                ("GET", "/profile"),
                ("GET", "/dashboard"),
                ("GET", "/sessions"),
                ("GET", "/admin/users"),
                ("POST", "/logout/all"),
            ] {
                let request = signed_in.request(method.parse().unwrap(), path).header("authorization", bad);
                let answer = signed_in.send(request, "").await;
                is_unauthorized(&answer, "token_invalid", &format!("{bad:?} {method} {path}"));
            }
        }
        assert_eq!(state(&target.site).await, before);
        assert_eq!(name_of(&signed_in).await, "ada");
    }
}

#[tokio::test]
async fn k06_two_users_at_once_are_one_or_nobody() {
    let target = Target::new().await;
    let (token, of_ada, of_grace) = two(&target, Mode::Cookie).await;
    let (session, _, secret_of_grace) = two(&target, Mode::Session).await;
    // If Authorization is present, only that is checked: other users' cookies, good or bad, don't matter.
    for cookie in [
        format!("{token}={of_grace}"),
        format!("{session}={secret_of_grace}"),
        format!("{token}=bad"),
        format!("{token}=a; {token}=b"),
    ] {
        let visitor = target.site.visitor();
        visitor.hold(target.admin.token().as_deref(), None);
        for path in ["/profile", "/dashboard"] {
            let request = visitor.request(Method::GET, path).header(COOKIE, &cookie);
            assert_eq!(visitor.send(request, "").await.is_ok()["user"]["name"], "ada");
        }
        let request = visitor.request(Method::GET, "/admin/users").header(COOKIE, &cookie);
        visitor.send(request, "").await.is_ok();
    }
    // Live cookies of two modes identify nobody, whoever owns them.
    for (first, second) in [(&of_ada, &secret_of_grace), (&of_grace, &secret_of_grace)] {
        for line in
            [format!("{token}={first}; {session}={second}"), format!("{session}={second}; {token}={first}")]
        {
            target.refuses_header("ambiguous_cookies", "cookie", line.as_bytes()).await;
        }
    }
    // A route that needs no sign-in ignores Authorization.
    let visitor = target.site.visitor();
    visitor.hold(Some("bad"), None);
    sign_in(&visitor, "grace", "session").await.is_ok();
    let renewed = target.site.logged_in("grace").await;
    let refresh = renewed.refresh_token();
    renewed.hold(Some("bad"), refresh.as_deref());
    renewed.refresh().await.is_ok();
    assert_eq!(name_of(&renewed).await, "grace");
}
