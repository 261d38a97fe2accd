use crate::testing::Site;

#[tokio::test]
async fn a_client_learns_names_and_urls_by_one_request() {
    let site = Site::with(&[
        ("public_url", "https://accounts.example.com"),
        ("base_path", "/auth"),
        ("cookie.domain", "example.com"),
    ])
    .await;
    let answer = site.visitor().get("/auth/.well-known/doorward").await;
    assert_eq!(answer.header("cache-control"), Some("public, max-age=300"));
    insta::assert_snapshot!(serde_json::to_string_pretty(&answer.is_ok()).unwrap(), @r#"
    {
      "audience": "doorward",
      "cookies": {
        "device": "__Host-device",
        "domain": "example.com",
        "refresh": "__Host-refresh_token",
        "same_site": "strict",
        "session": "__Secure-sessionId",
        "token": "__Host-token"
      },
      "issuer": "https://accounts.example.com",
      "jwks_uri": "https://accounts.example.com/auth/.well-known/jwks.json",
      "login": "https://accounts.example.com/auth/login",
      "logout": "https://accounts.example.com/auth/logout",
      "modes": [
        "bearer",
        "cookie",
        "session"
      ],
      "revocations": "https://accounts.example.com/auth/revocations",
      "session_tokens": false,
      "shared_secret": false,
      "url": "https://accounts.example.com/auth"
    }
    "#);
}
