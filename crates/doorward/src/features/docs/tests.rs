use serde_json::{Value, json};

use crate::testing::Site;

/// Every value of this name, anywhere in the document.
fn all<'a>(value: &'a Value, name: &str, found: &mut Vec<&'a Value>) {
    match value {
        Value::Object(fields) => {
            found.extend(fields.get(name));
            fields.values().for_each(|inner| all(inner, name, found));
        }
        Value::Array(items) => items.iter().for_each(|inner| all(inner, name, found)),
        _ => {}
    }
}

#[tokio::test]
async fn programs_get_the_api_as_openapi() {
    let site = Site::new().await;
    let answer = site.visitor().get("/openapi.json").await;
    let document = answer.is_ok();
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert_eq!(document["openapi"], "3.1.0");
    assert_eq!(&document, site.api().document());
    let mut references = Vec::new();
    all(&document, "$ref", &mut references);
    assert!(references.len() > 100);
    for reference in references {
        let path = reference.as_str().unwrap().strip_prefix('#').unwrap();
        assert!(document.pointer(path).is_some(), "{path} is not there");
    }
}

#[tokio::test]
async fn the_document_names_the_cookies_and_the_place_of_this_server() {
    let site = Site::with(&[
        ("base_path", "/auth"),
        ("cookie.session", "sid"),
        ("http.invalid_token_status", "403"),
    ])
    .await;
    let document = site.visitor().get("/auth/openapi.json").await.is_ok();
    assert_eq!(document["servers"], json!([{ "url": "/auth" }]));
    assert_eq!(document["components"]["securitySchemes"]["session_cookie"]["name"], "__Host-sid");
    let responses = document["paths"]["/profile"]["get"]["responses"].to_string();
    assert!(responses.contains("403.token_expired.token_invalid"), "{responses}");
}

#[tokio::test]
async fn every_example_has_the_shape_beside_it() {
    let site = Site::new().await;
    let api = site.api();
    let mut checked = 0;
    for operations in api.document()["paths"].as_object().unwrap().values() {
        for operation in operations.as_object().unwrap().values() {
            let body = &operation["requestBody"]["content"];
            let answers = operation["responses"].as_object().unwrap().values().map(|one| &one["content"]);
            for media in answers.chain([body]).flat_map(|content| content.as_object().into_iter().flatten()) {
                if let (kind, Some(example)) = (media.0, media.1.get("example")) {
                    api.fits(example, &media.1["schema"], true, kind).unwrap();
                    checked += 1;
                }
            }
        }
    }
    assert!(checked > 50, "{checked}");
}

#[tokio::test]
async fn the_examples_of_signing_up_and_in_work_as_they_stand() {
    let site = Site::new().await;
    let example = |path: &str, method: &str| {
        let operation = &site.api().document()["paths"][path][method];
        operation["requestBody"]["content"]["application/json"]["example"].clone()
    };
    let ada = site.visitor();
    ada.post("/register", example("/register", "post")).await.has_status(201);
    ada.post("/login", example("/login", "post")).await.is_ok();
    ada.patch("/profile", example("/profile", "patch")).await.is_ok();
    ada.post("/profile/password", example("/profile/password", "post")).await.is_ok();
}

#[tokio::test]
async fn people_get_a_page_with_every_route_its_example_and_its_codes() {
    let site = Site::with(&[("public_url", "https://accounts.example.org"), ("base_path", "/auth")]).await;
    let answer = site.visitor().page("/auth/docs").await;
    let page = answer.has_status(200).text();
    let mut ids = Vec::new();
    all(site.api().document(), "operationId", &mut ids);
    assert!(ids.len() > 40);
    for id in ids.iter().map(|id| id.as_str().unwrap()) {
        assert!(page.contains(&format!("<h3 id=\"{id}\">")), "{id} is missing");
    }
    for shown in [
        "https:&#x2f;&#x2f;accounts.example.org&#x2f;auth&#x2f;login",
        "email_taken",
        "session_expired",
        "users:read",
        "<span class=\"code\">return_to</span> or",
    ] {
        assert!(page.contains(shown), "{shown} is missing in {page}");
    }
    assert!(!page.contains("<script") && !page.contains("style=") && !page.contains('`'), "{page}");
}
