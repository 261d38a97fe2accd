//! A server that speaks TLS.

use std::os::unix::fs::PermissionsExt;

use doorward::testing::Site;
use doorward_guard::Guard;
use serde_json::json;

use crate::{FEED_SECRET, eventually, verdict_on};

#[tokio::test]
async fn a_server_is_asked_over_tls_where_its_certificate_is_trusted_and_names_it() {
    let folder = tempfile::tempdir().unwrap();
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let (cert, key) = (folder.path().join("cert.pem"), folder.path().join("key.pem"));
    std::fs::write(&cert, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).unwrap();
    let settings = [("tls.cert", cert.to_str().unwrap()), ("tls.key", key.to_str().unwrap())];
    let site = Site::with(&[settings[0], settings[1], ("DOORWARD_FEED_SECRET", FEED_SECRET)]).await;
    let address = site.listen().await;
    let told = |host: &str| {
        let clock = site.clock.clone();
        let builder = Guard::builder().server(format!("https://{host}:{}", address.port()));
        builder.feed_secret(FEED_SECRET).clock(move || clock.now())
    };

    let guard = told("localhost").root_certificates(made.cert.pem()).build().await.unwrap();
    let ada = site.logged_in("ada").await;
    assert_eq!(verdict_on(&guard, &ada).await, "ok");
    ada.post("/logout", json!({})).await.is_ok();
    eventually("the logout", async || verdict_on(&guard, &ada).await == "session_ended").await;

    for (builder, why) in [
        (told("localhost"), "cannot connect: invalid peer certificate: UnknownIssuer"),
        (told("127.0.0.1").root_certificates(made.cert.pem()), "not valid for name"),
        (told("localhost").root_certificates("no certificate"), "there is none in the PEM"),
    ] {
        let said = builder.build().await.err().expect("a refusal").to_string();
        assert!(said.contains(why), "{why}: {said}");
    }
}
