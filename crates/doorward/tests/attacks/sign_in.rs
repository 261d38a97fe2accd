//! Sign-ins that still need something: what they hand out opens nothing (ASVS 6.3.3).

use doorward::testing::{PASSWORD, Site};
use doorward_core::role::RoleName;
use doorward_core::{Mode, Timestamp};
use http::Method;
use serde_json::{Value, json};

use crate::reading::{audited, one, user};
use crate::support::Target;

/// Enrols an authenticator as a later program would: this one has no way to.
pub(crate) async fn enrol(site: &Site, id: &str, kind: &str) {
    let insert = "INSERT INTO authenticators (id, user_id, kind, identifier, data, created_at) \
         VALUES ($1, $2, $3, $1, 'sealed', 0)";
    let authenticator = [[9; 8], user(id).as_bytes()[8..].try_into().unwrap()].concat();
    let values = vec![authenticator.into(), user(id).into(), kind.into()];
    site.app.store.execute(insert, values).await.unwrap();
}

async fn challenges(site: &Site) -> i64 {
    one(site, "SELECT CAST(COUNT(*) AS BIGINT) FROM challenges WHERE purpose = 'sign_in'", Vec::new()).await
}

async fn sessions(site: &Site) -> i64 {
    one(site, "SELECT CAST(COUNT(*) AS BIGINT) FROM sessions", Vec::new()).await
}

fn login(mode: Mode) -> Value {
    json!({ "email": "eve@example.org", "password": PASSWORD, "mode": mode })
}

#[tokio::test]
async fn a_right_password_alone_opens_no_account_that_has_a_second_factor() {
    let site = Site::new().await;
    let eve = site.user("eve", RoleName::USER).await;
    enrol(&site, &eve, "totp").await;
    for mode in Mode::ALL {
        let visitor = site.visitor();
        let answer = visitor.post("/login", login(mode)).await;
        let problem = answer.has_status(401).is_refused("second_factor_required");
        assert_eq!(problem["factors"], json!(["otp"]));
        assert_eq!(problem["handle"].as_str().unwrap().len(), 43);
        assert_eq!(answer.set_cookies(), Vec::<&str>::new(), "{mode}");
        for credential in ["access_token", "refresh_token", "device", "user"] {
            assert_eq!(problem.get(credential), None, "{mode}");
        }
        visitor.get("/profile").await.is_refused("token_missing");
    }
    let form = [("email", "eve@example.org"), ("password", PASSWORD)];
    let page = site.visitor().form("/login", &form).await;
    assert!(page.text().contains("second factor") && page.set_cookies().is_empty(), "{}", page.text());
    assert_eq!((sessions(&site).await, audited(&site, "login").await), (0, 0));
    assert_eq!((challenges(&site).await, audited(&site, "login_pending").await), (1, 4));
    // A wrong password learns nothing of it.
    let wrong = json!({ "email": "eve@example.org", "password": "quite another password" });
    site.visitor().post("/login", wrong).await.is_refused("invalid_credentials");
}

#[tokio::test]
async fn an_authenticator_of_a_kind_that_this_program_does_not_know_is_never_passed_over() {
    let site = Site::new().await;
    let eve = site.user("eve", RoleName::USER).await;
    enrol(&site, &eve, "palm_print").await;
    let problem =
        site.visitor().post("/login", login(Mode::Bearer)).await.is_refused("second_factor_required");
    assert_eq!(problem["factors"], json!([]));
    assert_eq!(sessions(&site).await, 0);
}

#[tokio::test]
async fn no_route_takes_the_handle_of_a_sign_in_for_a_credential() {
    let target = Target::new().await;
    let site = &target.site;
    let eve = site.user("eve", RoleName::ADMIN).await;
    enrol(site, &eve, "totp").await;
    let problem =
        site.visitor().post("/login", login(Mode::Bearer)).await.is_refused("second_factor_required");
    let handle = problem["handle"].as_str().unwrap();
    target.refuses(handle).await;
    target.refuses_header("token_invalid", "cookie", format!("__Host-sessionId={handle}").as_bytes()).await;
    for token in [handle.to_owned(), format!("dr1.{handle}"), format!("dr2.{handle}")] {
        let refresh = json!({ "refresh_token": token });
        site.visitor().post("/refresh", refresh).await.is_refused("refresh_invalid");
    }
    let reset = json!({ "token": handle, "new_password": "another promise of a door" });
    site.visitor().post("/password/reset", reset).await.is_refused("link_invalid");
    let register = json!({ "name": "M", "email": "m@example.org", "password": PASSWORD, "invite": handle });
    site.visitor().post("/register", register).await.is_refused("link_invalid");
    // Nor is any other secret one that would finish the sign-in.
    assert_eq!(challenges(site).await, 1);
    target.stands_signed_in().await;
}

#[tokio::test]
async fn a_sign_in_that_waits_is_void_once_its_password_is_another_or_its_account_disabled() {
    for change in ["password", "disabled", "deleted"] {
        let site = Site::new().await;
        let (root, eve) = (site.admin("root").await, site.user("eve", RoleName::USER).await);
        enrol(&site, &eve, "totp").await;
        site.visitor().post("/login", login(Mode::Cookie)).await.is_refused("second_factor_required");
        assert_eq!(challenges(&site).await, 1);
        let path = format!("/admin/users/{eve}");
        match change {
            "password" => crate::reading::store_hash(&site, &eve, "no hash of any password").await,
            "disabled" => drop(root.patch(&path, json!({ "disabled": true })).await.is_ok()),
            _ => drop(root.delete(&path, json!({ "current_password": PASSWORD })).await.is_ok()),
        }
        assert_eq!(challenges(&site).await, 0, "{change}");
    }
}

#[tokio::test]
async fn every_credential_says_when_and_how_its_user_signed_in_and_a_refresh_does_not_change_it() {
    let site = Site::new().await;
    let client = site.client().await;
    for mode in Mode::ALL {
        let signed_in_at = site.clock.now();
        let ada = site.logged_in_by("ada", mode).await;
        site.later(std::time::Duration::from_secs(600)).await;
        if mode != Mode::Session {
            ada.refresh().await.is_ok();
        }
        let token = match mode {
            Mode::Session => ada.cookie("__Host-sessionId").unwrap(),
            _ => ada.token().or_else(|| ada.cookie("__Host-token")).unwrap(),
        };
        let program = site.visitor();
        let request = program.request(Method::POST, "/introspect").header("authorization", &client);
        let request = request.header("content-type", "application/json");
        let told = program.send(request, json!({ "token": token }).to_string()).await.is_ok();
        assert_eq!(told["auth_time"], signed_in_at.as_secs(), "{mode}");
        assert_eq!(told["amr"], json!(["pwd"]));
        let listed = ada.get("/sessions").await.is_ok();
        let current =
            listed["sessions"].as_array().unwrap().iter().find(|one| one["current"] == true).unwrap();
        assert_eq!(
            (&current["authenticated_at"], &current["amr"]),
            (&current["created_at"], &json!(["pwd"]))
        );
        assert_ne!(signed_in_at, Timestamp::from_secs(0));
    }
}
