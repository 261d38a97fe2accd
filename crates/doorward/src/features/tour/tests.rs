use http::Method;
use serde_json::{Value, json};

use crate::testing::{Site, Visitor};

async fn developer() -> (Site, Visitor) {
    let site = Site::with(&[("dev", "true")]).await;
    let visitor = site.visitor().from([127, 0, 0, 1]);
    (site, visitor)
}

#[tokio::test]
async fn a_developer_plays_a_flow_and_breaks_it() {
    let (_site, dev) = developer().await;
    let flows = dev.get("/tour").await.is_ok();
    assert!(flows["flows"].as_array().unwrap().iter().any(|flow| flow["name"] == "logout"));
    let page = dev.page("/tour").await;
    assert!(page.has_status(200).text().contains("href=\"#stolen-refresh-token\""));
    let played = dev.post("/tour/play", json!({ "flow": "logout" })).await.is_ok();
    assert_eq!(played["scenes"][1]["jwt"]["flow"]["code"], "session_ended");
    assert_eq!(played["scenes"][1]["jwt"]["plain_accepts"], true);
    let broken = dev.post("/tour/play", json!({ "flow": "protected", "broken": "wait" })).await.is_ok();
    assert_eq!(broken["scenes"][1]["jwt"]["flow"]["code"], "token_expired");
    assert_eq!(broken["scenes"][1]["session"]["difference"], Value::Null);
}

#[tokio::test]
async fn names_outside_of_the_lists_are_refused() {
    let (_site, dev) = developer().await;
    for (body, field, names) in [
        (json!({ "flow": "../login" }), "flow", "register, login, protected"),
        (json!({ "flow": "protected", "broken": "clock" }), "broken", "character, wait, twice, phone"),
        (json!({ "flow": "logout", "broken": "wait" }), "broken", "must be one of"),
    ] {
        let refused = dev.post("/tour/play", body).await.has_status(422).is_refused("invalid_input");
        assert_eq!(refused["fields"][0]["field"], field, "{refused}");
        assert!(refused["fields"][0]["message"].as_str().unwrap().contains(names), "{refused}");
    }
}

#[tokio::test]
async fn only_development_mode_on_this_machine_has_a_tour() {
    let site = Site::new().await;
    let admin = site.admin("root").await.from([127, 0, 0, 1]);
    admin.get("/tour").await.has_status(403).is_refused("development_only");
    admin.post("/tour/play", json!({ "flow": "login" })).await.has_status(403);
    let (_site, dev) = developer().await;
    let elsewhere = dev.copy().from([192, 0, 2, 7]);
    elsewhere.post("/tour/play", json!({ "flow": "login" })).await.has_status(403);
    let foreign = dev.request(Method::POST, "/tour/play").header("sec-fetch-site", "same-site");
    let foreign = foreign.header("content-type", "application/json");
    dev.send(foreign, json!({ "flow": "login" }).to_string()).await.has_status(403);
}

#[tokio::test]
async fn a_play_leaves_the_server_that_offers_it_as_it_was() {
    let (site, dev) = developer().await;
    let before = (site.stolen_database().await, site.app.clock.now());
    dev.post("/tour/play", json!({ "flow": "expiry" })).await.is_ok();
    assert_eq!((site.stolen_database().await, site.app.clock.now()), before);
    assert!(site.app.flows.find(9, |_| true).is_empty(), "neither the play nor its requests are recorded");
}
