//! What a guard refuses at its start, and that it says what to do.

use doorward_guard::{BuildError, Builder, Guard};

use crate::{server, told};

async fn refusal(builder: Builder) -> String {
    builder.build().await.err().expect("a refusal").to_string()
}

#[tokio::test]
async fn j41_keys_that_would_be_confused_begin_no_guard() {
    let secret = "T9k2vQ8xW4mZ7rB1nL6cH3yJ5dF0gS-p";
    let key = doorward_core::token::SigningKey::generate(doorward_core::token::Algorithm::Es256).unwrap();
    let key = key.verifying_key().to_jwk().unwrap().to_owned();
    let set = |keys: &str| format!(r#"{{"keys":[{keys}]}}"#);
    let both = Guard::builder().secret(secret).jwks(set(&key)).build().await;
    assert!(matches!(both, Err(BuildError::Mixed)));
    let twice = refusal(Guard::builder().jwks(set(&format!("{key},{key}")))).await;
    assert!(twice.contains("two keys have the kid"), "{twice}");
    let symmetric = r#"{"kty":"oct","kid":"x","alg":"HS256","k":"AAAA"}"#;
    for keys in [symmetric.to_owned(), format!("{key},{symmetric}")] {
        assert!(Guard::builder().jwks(set(&keys)).build().await.is_err(), "{keys}");
    }
    assert!(Guard::builder().jwks(set(&key)).build().await.is_ok());
}

#[tokio::test]
async fn j40_a_set_that_tells_a_private_key_begins_no_guard() {
    let key = doorward_core::token::SigningKey::generate(doorward_core::token::Algorithm::Es256).unwrap();
    let private = key.verifying_key().to_jwk().unwrap().replacen('{', r#"{"d":"AAAA","#, 1);
    let said = refusal(Guard::builder().jwks(format!(r#"{{"keys":[{private}]}}"#))).await;
    assert!(said.contains("private part"), "{said}");
}

#[tokio::test]
async fn j03_a_secret_that_can_be_guessed_begins_no_guard() {
    for weak in ["", "secret", &"ab".repeat(32), "changemechangemechangemechangeme"] {
        let said = refusal(Guard::builder().secret(weak)).await;
        assert!(said.contains("give the server's JWT_SECRET"), "{said}");
    }
}

#[tokio::test]
async fn plain_http_is_for_this_machine_unless_it_is_said() {
    for url in ["http://accounts.example.com", "http://192.0.2.1:8080", "http://localhost.example.com"] {
        let said = refusal(Guard::builder().server(url).without_revocations()).await;
        assert!(said.contains("allow_plain_http()"), "{said}");
    }
    for url in
        ["accounts.example.com", "ftp://127.0.0.1", "http://user:word@127.0.0.1", "http://127.0.0.1/?x=1", ""]
    {
        let said = refusal(Guard::builder().server(url).without_revocations()).await;
        assert!(said.contains("can't be used"), "{url}: {said}");
    }
}

#[tokio::test]
async fn a_guard_that_lacks_something_says_what() {
    let (site, address) = server().await;
    assert!(refusal(Guard::builder()).await.contains("nothing to verify tokens with"));
    assert!(refusal(told(&site, address)).await.contains("doorward client create"));
    assert!(
        refusal(Guard::builder().secret("T9k2vQ8xW4mZ7rB1nL6cH3yJ5dF0gS-p").feed_secret("x"))
            .await
            .contains("server(url)")
    );
    let wrong = refusal(told(&site, address).feed_secret("another secret")).await;
    assert!(
        wrong.contains("/revocations: answered 401") && wrong.contains("doorward client create"),
        "{wrong}"
    );
    let nobody = refusal(Guard::builder().server("http://127.0.0.1:1").without_revocations()).await;
    assert!(nobody.contains("is the server running"), "{nobody}");
    let elsewhere = told(&site, address).server(format!("http://{address}/auth")).without_revocations();
    assert!(refusal(elsewhere).await.contains("base path"));
    assert!(refusal(Guard::builder().role("Editor", ["x"])).await.contains("is no role"));
}

#[tokio::test]
async fn a_server_with_a_shared_secret_publishes_no_key_and_the_guard_says_so() {
    let site = doorward::testing::Site::with(&[("JWT_SECRET", "T9k2vQ8xW4mZ7rB1nL6cH3yJ5dF0gS-p")]).await;
    let said = refusal(told(&site, site.listen().await).without_revocations()).await;
    assert!(said.contains("JWT_SECRET") && said.contains("secret(…)"), "{said}");
}
