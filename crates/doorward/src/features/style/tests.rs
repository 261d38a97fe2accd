use crate::testing::Site;

#[tokio::test]
async fn the_style_is_kept_by_browsers_and_has_no_address_of_others() {
    let site = Site::new().await;
    let answer = site.visitor().get("/style.css").await;
    answer.has_status(200);
    assert_eq!(answer.header("content-type"), Some("text/css; charset=utf-8"));
    assert_eq!(answer.header("cache-control"), Some("public, max-age=3600"));
    assert!(!answer.text().contains("http") && !answer.text().contains("@import"));
}
