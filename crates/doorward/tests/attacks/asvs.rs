//! Requirements of the verification standard that no row of the attack list covers.

use std::path::Path;

use doorward::testing::{PASSWORD, Site};
use doorward_core::Mode;
use serde_json::json;

use crate::authorisation::routes::{routes, sources};

#[tokio::test]
async fn no_cookie_is_longer_than_browsers_keep() {
    let site = Site::with(&[("roles.a-role-of-the-longest-name-31-c", "users:read")]).await;
    let admin = site.admin("root").await;
    for mode in [Mode::Cookie, Mode::Session] {
        let role = "a-role-of-the-longest-name-31-c";
        let email = format!("{}@example.org", mode.as_str());
        let user = json!({ "name": "n".repeat(200), "email": email, "password": PASSWORD, "role": role });
        admin.post("/admin/users", user).await.has_status(201);
        let login = json!({ "email": email, "password": PASSWORD, "mode": mode.as_str() });
        let answer = site.visitor().post("/login", login).await;
        let longest = answer.has_status(200).set_cookies().iter().map(|cookie| cookie.len()).max().unwrap();
        assert!(longest < 4_096, "{mode}: {longest} bytes");
    }
}

#[tokio::test]
async fn a_password_is_typed_unseen_and_managers_know_which_it_is() {
    let site = Site::new().await;
    let ada = site.logged_in_by("ada", Mode::Session).await;
    let mut fields = 0;
    for visitor in [&ada, &site.visitor()] {
        for route in routes().into_iter().filter(|route| route.method == "GET") {
            let page = visitor.page(route.path).await.text();
            for input in page.split("<input").skip(1).map(|rest| rest.split('>').next().unwrap()) {
                assert!(
                    !input.contains("onpaste") && !input.contains("autocomplete=\"off\""),
                    "{}",
                    route.path
                );
                if input.contains("password\"") && input.contains("name=") {
                    assert!(input.contains("type=\"password\""), "{}: {input}", route.path);
                    let known =
                        ["\"current-password\"", "\"new-password\""].iter().any(|kind| input.contains(kind));
                    assert!(known, "{}: {input}", route.path);
                    fields += 1;
                }
            }
        }
    }
    assert!(fields >= 4, "only {fields} fields were seen");
}

#[tokio::test]
async fn no_answer_says_which_version_it_comes_from() {
    let site = Site::new().await;
    for route in routes().into_iter().filter(|route| route.method == "GET" && !route.path.contains("openapi"))
    {
        for answer in [site.visitor().get(route.path).await, site.visitor().page(route.path).await] {
            for name in ["server", "x-powered-by", "via", "x-version"] {
                assert_eq!(answer.header(name), None, "{}", route.path);
            }
            let says = answer.text().to_lowercase();
            let version = concat!("doorward ", env!("CARGO_PKG_VERSION"));
            assert!(!says.contains(version), "{}: {says}", route.path);
        }
    }
}

#[test]
fn the_server_starts_no_program_and_reads_no_pattern_of_a_client() {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let folders =
        ["doorward/src", "doorward-core/src", "doorward-guard/src"].map(|folder| crates.join(folder));
    let files: Vec<_> = folders.iter().flat_map(|folder| sources(folder)).collect();
    assert!(files.len() > 100, "{}", files.len());
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        for what in ["process::Command", "Command::new", "regex::", "Regex::new"] {
            assert!(!text.contains(what), "{} has {what}", file.display());
        }
    }
}
