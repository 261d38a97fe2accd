//! P01, P02, P05 to P08: what is a password, which are equal, and which may be set, on every route that sets one.

use axum::body::Body;
use doorward::testing::{PASSWORD, Site, Visitor};
use http::Method;
use serde_json::{Value, json};

use super::{is_the_only_one, registers, signs_in};
use crate::reading::stored_hash;

#[tokio::test]
async fn p01_every_byte_of_a_long_password_counts() {
    let site = Site::new().await;
    let long = "x7".repeat(36) + "the tail";
    assert_eq!(long.len(), 80);
    is_the_only_one(&site, &long, &[&long[..72], &(long[..72].to_owned() + "her tail"), &long[..79]]).await;
    assert!(stored_hash(&site, "user0").await.starts_with("$argon2id$"));
    let fits = &long[..72];
    registers(&site, "ben", fits).await.0.has_status(201);
    assert!(stored_hash(&site, "ben").await.starts_with("$2b$"));
    for longer in [&long[..73], &long] {
        signs_in(&site, "ben", longer).await.is_refused("invalid_credentials");
    }
    signs_in(&site, "ben", fits).await.is_ok();
}

#[tokio::test]
async fn p02_a_nul_ends_no_password() {
    let site = Site::new().await;
    is_the_only_one(&site, "eight chars\0def", &["eight chars\0xyz", "eight chars", "eight chars\0"]).await;
    is_the_only_one(&Site::new().await, "\0eight chars", &["\0other chars", "\0", "eight chars"]).await;
}

#[tokio::test]
async fn p05_a_password_of_any_size_is_refused_before_it_is_hashed_or_counted() {
    let site = Site::new().await;
    let ada = site.logged_in("ada").await;
    site.app.hashing.take_jobs();
    for (size, status) in [(1_025, 422), (3_073, 422), (60_000, 422), (70_000, 413), (10_000_000, 413)] {
        let long = "x".repeat(size);
        let login = json!({ "email": "ada@example.org", "password": long });
        for _ in 0..15 {
            site.visitor().post("/login", login.clone()).await.has_status(status);
        }
        let register = json!({ "name": "Ben", "email": "ben@example.org", "password": long });
        site.visitor().post("/register", register).await.has_status(status);
        let change = json!({ "current_password": PASSWORD, "new_password": long });
        ada.post("/profile/password", change).await.has_status(status);
        ada.delete("/profile", json!({ "password": long })).await.has_status(status);
        let reset = json!({ "token": "x", "new_password": long });
        site.visitor().post("/password/reset", reset).await.has_status(status);
    }
    assert_eq!(site.app.hashing.take_jobs(), Vec::<String>::new());
    // Nothing of it was a guess.
    signs_in(&site, "ada", PASSWORD).await.is_ok();
    let longest = "é".repeat(512);
    registers(&site, "carla", &longest).await.0.has_status(201);
    signs_in(&site, "carla", &longest).await.is_ok();
}

#[tokio::test]
async fn p05_a_body_that_says_it_is_huge_is_refused_unread() {
    let site = Site::new().await;
    let visitor = site.visitor();
    let request = visitor
        .request(Method::POST, "/login")
        .header("content-type", "application/json")
        .header("content-length", (100_u64 << 20).to_string());
    let never_ends = Body::from_stream(futures_util::stream::pending::<Result<Vec<u8>, std::io::Error>>());
    let answer = visitor.send(request, never_ends).await;
    assert_eq!(answer.is_refused("too_large")["status"], 413);
}

#[tokio::test]
async fn p06_one_rule_for_unicode_at_every_door() {
    let site = Site::new().await;
    // NFC: composed and decomposed are one.
    let spellings = [("caf\u{e9} noir", "cafe\u{301} noir"), ("cafe\u{301} noir", "caf\u{e9} noir")];
    for (n, (set, typed)) in spellings.into_iter().enumerate() {
        let name = format!("same{n}");
        registers(&site, &name, set).await.0.has_status(201);
        signs_in(&site, &name, typed).await.is_ok();
        let visitor = site.visitor();
        let login = json!({ "email": format!("{name}@example.org"), "password": typed });
        visitor.post("/login", login).await.is_ok();
        let change = json!({ "current_password": typed, "new_password": set.to_owned() + "e\u{301}" });
        visitor.post("/profile/password", change).await.is_ok();
        signs_in(&site, &name, &(typed.to_owned() + "\u{e9}")).await.is_ok();
    }
    // And nothing else: text that only NFKC joins, invisible characters, and direction marks all count.
    is_the_only_one(
        &site,
        "of\u{fb01}ce hours",
        &["office hours", "of\u{fb01}ce\u{200b} hours", "\u{202e}of\u{fb01}ce hours", "OF\u{fb01}CE hours"],
    )
    .await;
    registers(&site, "emoji", "\u{1f468}\u{200d}\u{1f469}\u{200d}\u{1f467} family").await.0.has_status(201);
    signs_in(&site, "emoji", "\u{1f468}\u{200d}\u{1f469}\u{200d}\u{1f467} family").await.is_ok();
    signs_in(&site, "emoji", "\u{1f468}\u{1f469}\u{1f467} family").await.is_refused("invalid_credentials");
}

#[tokio::test]
async fn p06_a_lone_surrogate_is_no_text() {
    let site = Site::new().await;
    let visitor = site.visitor();
    for path in ["/login", "/register"] {
        for escape in ["\\ud800", "\\udfff", "\\ud800\\u0041", "\\ud83d"] {
            let body =
                format!(r#"{{"name":"Ada","email":"ada@example.org","password":"long enough {escape}"}}"#);
            let request = visitor.request(Method::POST, path).header("content-type", "application/json");
            assert_eq!(visitor.send(request, body).await.is_refused("malformed")["status"], 400, "{escape}");
        }
    }
}

#[tokio::test]
async fn p07_spellings_of_one_address_are_one_account_and_one_bucket() {
    let site = Site::new().await;
    site.registered("ada").await;
    let spellings = [
        "ADA@EXAMPLE.ORG",
        " ada@example.org\t",
        "Ada@Example.Org",
        "\u{ff41}\u{ff44}\u{ff41}@example.org",
        "ada@\u{ff45}xample.org",
        "ada@example\u{3002}org",
    ];
    for spelling in spellings {
        let register = json!({ "name": "Ada", "email": spelling, "password": PASSWORD });
        site.visitor().post("/register", register).await.is_refused("email_taken");
        let login = json!({ "email": spelling, "password": PASSWORD });
        let seen = site.visitor().post("/login", login).await.is_ok();
        assert_eq!(seen["user"]["email"], "ada@example.org", "{spelling}");
    }
    for guess in 0..10 {
        let login = json!({ "email": spellings[guess % spellings.len()], "password": "a wrong password" });
        site.visitor().post("/login", login).await.is_refused("invalid_credentials");
    }
    for spelling in spellings {
        let login = json!({ "email": spelling, "password": PASSWORD });
        site.visitor().post("/login", login).await.is_refused("too_many_attempts");
    }
    // Other mailboxes are other accounts.
    for other in ["a.da@example.org", "ada+x@example.org", "ada@example.com", "ada@sub.example.org"] {
        let register = json!({ "name": "Ada", "email": other, "password": PASSWORD });
        site.visitor().post("/register", register).await.has_status(201);
    }
}

#[tokio::test]
async fn p07_no_second_address_displays_the_same() {
    let site = Site::new().await;
    let (root, ada) = (site.admin("root").await, site.registered("ada").await);
    let path = format!("/admin/users/{}", ada.user_id().await);
    for twin in [
        "\u{430}da@example.org",
        "ad\u{251}@example.org",
        "ada\u{200b}@example.org",
        "ada\u{301}@example.org.",
        "a\u{34f}da@example.org",
        "ada@example.org\u{202e}",
        "ada @example.org",
        "ada\0@example.org",
    ] {
        let register = json!({ "name": "Ada", "email": twin, "password": PASSWORD });
        site.visitor().post("/register", register).await.is_refused("invalid_input");
        ada.patch("/profile", json!({ "email": twin, "password": PASSWORD }))
            .await
            .is_refused("invalid_input");
        root.patch(&path, json!({ "email": twin })).await.is_refused("invalid_input");
        root.post("/admin/users", json!({ "name": "Ada", "email": twin })).await.is_refused("invalid_input");
    }
    // An international domain shows what it is.
    let register = json!({ "name": "Ada", "email": "ada@ex\u{e4}mple.org", "password": PASSWORD });
    let body = site.visitor().post("/register", register).await;
    assert_eq!(body.has_status(201).json()["user"]["email"], "ada@xn--exmple-cua.org");
}

/// Tries to set this password by every path, for a user called `Ada Lovelace` with the address `ada.lovelace@…`.
async fn is_refused_everywhere(site: &Site, root: &Visitor, n: usize, bad: &str, why: &str) {
    let email = format!("ada.lovelace@{n}.example.org");
    let who = json!({ "name": "Ada Lovelace", "email": email, "password": PASSWORD });
    let with_bad = json!({ "name": "Ada Lovelace", "email": email, "password": bad });
    let blames = |answer: doorward::testing::Answer, field: &str| {
        let problem = answer.is_refused("invalid_input");
        assert_eq!(problem["fields"][0]["field"], field, "{bad:?}: {problem}");
        assert!(problem["fields"][0]["message"].as_str().unwrap().contains(why), "{bad:?}: {problem}");
    };
    blames(
        site.visitor().from([10, 0, 0, u8::try_from(n).unwrap()]).post("/register", with_bad.clone()).await,
        "password",
    );
    blames(root.post("/admin/users", with_bad).await, "password");
    let ada = site.visitor().from([10, 0, 0, u8::try_from(n).unwrap()]);
    ada.post("/register", who).await.has_status(201);
    let change = json!({ "current_password": PASSWORD, "new_password": bad });
    blames(ada.post("/profile/password", change).await, "new_password");
    let link =
        root.post(&format!("/admin/users/{}/reset-link", ada.user_id().await), Value::Null).await.is_ok();
    let token = link["url"].as_str().unwrap().split_once("token=").unwrap().1;
    blames(
        site.visitor().post("/password/reset", json!({ "token": token, "new_password": bad })).await,
        "new_password",
    );
    // The refusal didn't use the link up.
    let good = json!({ "token": token, "new_password": "quite another password" });
    site.visitor().post("/password/reset", good).await.is_ok();
}

#[tokio::test]
async fn p08_a_bad_password_is_refused_on_every_path_that_sets_one() {
    let site = Site::new().await;
    let root = site.admin("root").await;
    let bad = [
        ("seven77", "at least 8"),
        ("password", "common"),
        ("PassWord", "common"),
        ("PASSWORD1", "common"),
        ("iloveyou", "common"),
        ("Ada Lovelace", "name"),
        ("aDA lOVELACE", "name"),
        ("ada.lovelace", "email"),
        ("ADA.Lovelace", "email"),
    ];
    for (n, (bad, why)) in bad.into_iter().enumerate() {
        is_refused_everywhere(&site, &root, n, bad, why).await;
    }
    is_refused_everywhere(&site, &root, 20, "Ada.Lovelace@20.EXAMPLE.org", "email").await;
}
