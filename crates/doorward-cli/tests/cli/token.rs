use base64::Engine;

use crate::support::{Home, Run};

/// The line of a check, with its mark.
fn line(run: &Run, check: &str) -> String {
    let found = run
        .out
        .lines()
        .find(|line| line.split_whitespace().skip(1).collect::<Vec<_>>().join(" ").starts_with(check));
    found.unwrap_or_else(|| panic!("{check} in {}", run.out)).to_owned()
}

fn last(run: &Run) -> &str {
    run.out.lines().last().unwrap()
}

#[test]
fn a_good_token_passes_every_check() {
    let home = Home::new();
    let server = home.serve(&[]);
    let token = server.register("ada").token();
    let run = home.run(&["token", "explain", &token]);
    assert_eq!((run.code, last(&run)), (Some(0), "Accepted"));
    let marks = run.out.lines().filter(|line| line.starts_with('✓')).count();
    assert_eq!(marks, 17, "{}", run.out);
    assert!(line(&run, "session").starts_with("✓ session       live;"), "{}", run.out);
    assert!(run.out.contains("Expires in 1") && run.out.contains(", at 2"), "{}", run.out);
    assert!(
        line(&run, "lifetime")
            .ends_with("exp is 15 minutes after iat, at most 15 minutes 30 seconds are allowed"),
        "{}",
        run.out
    );

    let good = home.run(&["token", "verify", &token]).ok();
    assert!(good.starts_with("good: user ") && good.contains("role user"), "{good}");
    home.run_with(&["token", "verify", "-"], &format!("{token}\n")).ok();
    let verified = home.run(&["token", "verify", "--json", &token]).json();
    assert_eq!(verified["valid"], true);
    let explained = home.run(&["token", "explain", "--json", &token]).json();
    assert_eq!(
        (&explained["accepted"], &explained["checks"][0]["verdict"]),
        (&true.into(), &"passed".into())
    );
}

#[test]
fn a_token_that_was_cut_says_so_at_its_signature() {
    let home = Home::new();
    let token = home.serve(&[]).register("ada").token();
    let run = home.run(&["token", "explain", &token[..token.len() - 4]]);
    assert!(line(&run, "signature").ends_with("does not match: the token was changed or cut"), "{}", run.out);
}

#[test]
fn an_expired_token_names_exp_and_how_long_ago() {
    let home = Home::new();
    let server = home.serve(&["--access-ttl", "1s"]);
    let token = server.register("ada").token();
    server.soon(&token, "token_expired");
    let run = home.run(&["token", "explain", &token]);
    assert_eq!(last(&run), "Refused: token_expired (jwt expired); the first failure is: expiry");
    assert!(
        run.out.contains("\nWhat to do: Refresh, and repeat the request with the new token."),
        "{}",
        run.out
    );
    assert!(line(&run, "expiry").starts_with("✗ expiry        "), "{}", run.out);
    assert!(
        line(&run, "expiry").contains(" ago (exp ") && line(&run, "expiry").contains("second"),
        "{}",
        run.out
    );
    assert!(line(&run, "session").starts_with("✓ session"), "{}", run.out);
    assert!(run.out.contains("Expired ") && run.code == Some(1), "{}", run.out);
    home.run(&["token", "verify", &token]).fails("token_expired: jwt expired", "token explain");
}

#[test]
fn an_ended_session_says_who_ended_it_and_when() {
    let home = Home::new();
    let server = home.serve(&[]);
    let (logged_out, ended) = (server.register("ada").token(), server.login("ada").token());
    server.post("/logout", &logged_out, serde_json::json!({}));
    home.run(&["session", "end", "--user", "ada@example.org"]).ok();
    let run = home.run(&["token", "explain", &logged_out]);
    assert!(line(&run, "session").ends_with("Z: its owner logged out"), "{}", run.out);
    assert!(line(&run, "session").starts_with("✗ session       ended 2"), "{}", run.out);
    assert_eq!(last(&run), "Refused: session_ended (This session has ended); the first failure is: session");
    let run = home.run(&["token", "explain", &ended]);
    assert!(line(&run, "session").ends_with("Z: the command line ended it"), "{}", run.out);
    home.run(&["token", "verify", &ended]).fails("session_ended", "token explain");

    home.run(&["user", "delete", "ada@example.org"]).ok();
    let run = home.run(&["token", "explain", &ended]);
    assert!(line(&run, "session").contains("ended 2"), "{}", run.out);
    assert!(line(&run, "session").ends_with("the account was deleted"), "{}", run.out);
    assert!(line(&run, "user").ends_with("there is no such user"), "{}", run.out);
}

#[test]
fn a_stale_token_names_the_role_of_now_and_a_disabled_user_is_named() {
    let home = Home::new();
    let server = home.serve(&[]);
    let token = server.register("ada").token();
    home.run(&["user", "role", "ada@example.org", "admin"]).ok();
    home.create("grace", "admin");
    let run = home.run(&["token", "explain", &token]);
    assert!(line(&run, "version").ends_with(" now, with the role admin: refresh it"), "{}", run.out);
    assert_eq!(
        last(&run),
        "Refused: token_stale (Token is out of date: refresh it); the first failure is: version"
    );
    home.run(&["token", "verify", &token]).fails("token_stale", "token explain");
    home.run(&["user", "disable", "ada@example.org"]).ok();
    let run = home.run(&["token", "explain", &token]);
    assert!(line(&run, "session").ends_with("the account was disabled, by the command line"), "{}", run.out);
    assert!(line(&run, "user").starts_with("✗ user          disabled since 2"), "{}", run.out);
}

#[test]
fn a_foreign_token_fails_at_its_key_and_nothing_is_asked_of_the_store() {
    let (here, there) = (Home::new(), Home::new());
    here.create("ada", "user");
    let token = there.serve(&[]).register("ada").token();
    let run = here.run(&["token", "explain", &token]);
    assert_eq!(last(&run), "Refused: token_invalid (Invalid token); the first failure is: key");
    assert!(line(&run, "key").contains("is none of this server's: another server made it"), "{}", run.out);
    for check in ["signature", "claims", "expiry", "session", "user", "version"] {
        assert_eq!(line(&run, check), format!("– {check}"));
    }
    let run = here.run(&["token", "verify", "--json", &token]);
    let said: serde_json::Value = serde_json::from_str(&run.out).unwrap();
    assert_eq!((run.code, &said["code"]), (Some(1), &"token_invalid".into()));
}

/// A token as other programs write it.
fn foreign(header: &str) -> String {
    let encode = |text: &str| base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(text);
    format!("{}.{}.{}", encode(header), encode(r#"{"sub":"1","iat":1700000000,"exp":1700003600}"#), "c2ln")
}

#[test]
fn what_was_taken_for_an_access_token_is_called_by_its_name() {
    let home = Home::new();
    let server = home.serve(&[]);
    let registered = server.register("ada");
    let (token, refresh) =
        (registered.token(), registered.body["refresh_token"].as_str().unwrap().to_owned());
    let secret = "A".repeat(43);
    for (text, what) in [
        (refresh.as_str(), "a refresh token"),
        (&refresh[..20], "a refresh token"),
        (&secret, "a secret of 256 random bits"),
        (&format!("{secret}.{secret}"), "a known device"),
        (&format!("https://a.example/password/reset?token={secret}"), "a link to set a new password"),
        (&format!("https://a.example/register?invite={secret}"), "an invitation"),
        (&format!("Bearer {token}"), "an Authorization header"),
        (&format!("__Host-token={token}"), "a cookie"),
        (&foreign(r#"{"alg":"none"}"#), "no signature (alg none)"),
        (&foreign(r#"{"alg":"NonE","typ":"JWT"}"#), "no signature (alg none)"),
        (&foreign(r#"{"alg":"HS256","typ":"JWT"}"#), "signed with a shared secret"),
        (&foreign(r#"{"alg":"HS512","kid":"theirs"}"#), "signed with a shared secret"),
        (&foreign(r#"{"alg":"ES256","typ":"doorward-identity+jwt"}"#), "an identity assertion"),
        (&format!("{}.x.y", foreign(r#"{"alg":"dir","enc":"A256GCM"}"#)), "an encrypted token"),
    ] {
        let run = home.run(&["token", "explain", text]);
        let first = run.out.lines().next().unwrap();
        assert!(
            run.code == Some(1) && first.starts_with("This ") && first.contains(what),
            "{text}: {}",
            run.out
        );
        assert!(last(&run).starts_with("Refused: token_invalid"), "{}", run.out);
        assert!(!run.out.contains("null"), "{}", run.out);
        let json = home.run(&["token", "explain", "--json", text]);
        let said: serde_json::Value = serde_json::from_str(&json.out).unwrap();
        assert!(said["looks_like"].as_str().unwrap().contains(what), "{said}");
    }
    home.run(&["token", "decode", &refresh]).fails("a refresh token", "three parts");
    let old = home.run(&["token", "explain", &foreign(r#"{"alg":"HS256","typ":"JWT"}"#)]);
    assert!(old.out.contains("Expired ") && old.out.contains(" days "), "{}", old.out);
    assert!(old.out.contains("ago, at 2023-11-14T23:13:20Z"), "{}", old.out);
    let good = home.run(&["token", "explain", &token]);
    assert!(good.out.starts_with("Header "), "{}", good.out);
}

#[test]
fn what_is_no_token_is_refused_and_says_nothing_to_the_terminal() {
    let home = Home::new();
    home.create("ada", "user");
    for text in ["", "x", "a.b", "a.b.c", "-x", "....", &"A".repeat(5_000)] {
        let run = home.run(&["token", "explain", text]);
        assert!(run.code == Some(1) && last(&run).starts_with("Refused: token_invalid"), "{run:?}");
        home.run(&["token", "verify", text]).fails("token_invalid", "token explain");
        home.run(&["token", "decode", text]).fails("this is no token", "three parts");
    }
    // {"kid":"<escape>[2J"}: the escape sequence that clears a terminal, and C1's short form of it.
    for payload in ["eyJraWQiOiJcdTAwMWJbMkoifQ", "eyJraWQiOiLCmzJKIn0"] {
        let run = home.run(&["token", "decode", &format!("{payload}.{payload}.x")]);
        assert!(run.code == Some(0) && !run.out.contains(|c: char| c.is_control() && c != '\n'), "{run:?}");
        let run = home.run(&["token", "explain", &format!("{payload}.{payload}.x")]);
        assert!(!run.out.contains(|c: char| c.is_control() && c != '\n'), "{run:?}");
    }
}
