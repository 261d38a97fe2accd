use serde_json::json;

use crate::testing::Site;

#[tokio::test]
async fn a_process_that_answers_is_alive_and_with_its_store_ready() {
    let site = Site::new().await;
    assert_eq!(site.visitor().get("/healthz").await.is_ok(), json!({ "status": "ok" }));
    assert_eq!(site.visitor().get("/readyz").await.is_ok(), json!({ "status": "ready" }));
    assert_eq!(site.visitor().get("/readyz").await.header("cache-control"), Some("no-store"));
}

#[tokio::test]
async fn without_its_store_it_is_alive_and_not_ready() {
    let site = Site::new().await;
    site.app.store.close().await;
    site.visitor().get("/healthz").await.is_ok();
    let answer = site.visitor().get("/readyz").await;
    answer.has_status(503).is_refused("unavailable");
    assert_eq!(answer.header("retry-after"), Some("1"));
}
