use crate::testing::{Answer, Site};

/// The URL of a file that a page loads, as the page has it.
fn loaded(page: &Answer, name: &str) -> String {
    let text = page.text();
    let start = text.find(&format!("/{name}?v=")).unwrap_or_else(|| panic!("no {name} in {text}"));
    text[start..].split('"').next().unwrap().to_owned()
}

#[tokio::test]
async fn what_a_page_loads_is_kept_for_good_by_its_version_and_has_no_address_of_others() {
    let site = Site::new().await;
    let page = site.visitor().page("/login").await;
    for (name, content_type) in [
        ("style.css", "text/css; charset=utf-8"),
        ("assets/forms.js", "text/javascript; charset=utf-8"),
        ("favicon.svg", "image/svg+xml"),
    ] {
        let answer = site.visitor().get(&loaded(&page, name)).await;
        answer.has_status(200);
        assert_eq!(answer.header("content-type"), Some(content_type));
        assert_eq!(answer.header("cache-control"), Some("public, max-age=31536000, immutable"));
        assert_eq!(answer.header("vary"), Some("Accept-Encoding"));
        let text = answer.text().replace("http://www.w3.org/2000/svg", "");
        assert!(!text.contains("http") && !text.contains("@import") && !text.contains("url("), "{text}");
        for other in [format!("/{name}"), format!("/{name}?v=000000000000")] {
            let answer = site.visitor().get(&other).await;
            assert_eq!(answer.header("cache-control"), Some("public, max-age=3600"), "{other}");
        }
    }
}

#[tokio::test]
async fn only_a_page_with_a_form_may_run_a_script_and_only_ours() {
    let site = Site::new().await;
    let ada = site.logged_in_by("ada", doorward_core::Mode::Session).await;
    let pages = [
        (site.visitor().page("/login").await, true),
        (site.visitor().page("/register").await, true),
        (ada.page("/dashboard").await, true),
        (ada.page("/logout").await, true),
        (ada.page("/docs").await, false),
        (ada.page("/nothing").await, false),
        (ada.page("/password/reset?token=x").await, false),
    ];
    for (page, has_script) in pages {
        let (text, policy) = (page.text(), page.header("content-security-policy").unwrap());
        assert_eq!(policy.contains("; script-src 'self'"), has_script, "{policy} {text}");
        assert_eq!(policy.matches("script-src").count(), usize::from(has_script));
        assert_eq!(text.matches("<script").count(), usize::from(has_script), "{text}");
        assert_eq!(text.contains("<script src=\"/assets/forms.js?v="), has_script, "{text}");
        assert!(!policy.contains("unsafe") && !text.contains(" onclick") && !text.contains("javascript:"));
    }
}
