//! Naughty texts in every query and path, requested as JSON and as a page.

use super::*;

#[tokio::test]
async fn i01_a_naughty_text_in_any_query_or_path_gets_a_clean_answer() {
    let house = House::new().await;
    let browser = house.site.logged_in_by("grace", doorward_core::Mode::Session).await;
    assert!(queries("/login").contains("return_to"));
    assert!(
        queries("/admin/users").is_superset(&["search", "role", "after", "limit"].map(String::from).into())
    );
    for route in routes().into_iter().filter(|route| route.method == "GET") {
        let (path, queries) = (route.path.replace("{id}", &house.id), queries(route.path));
        for text in naughty() {
            let value = encoded(&text);
            let all: Vec<_> = queries.iter().map(|name| format!("{name}={value}")).collect();
            for query in &all {
                let path = format!("{path}?{query}");
                is_clean(&soon(house.admin.get(&path), &path).await, &text);
            }
            let odd =
                [format!("{path}?{}", all.join("&")), format!("{path}?{value}"), format!("{path}/{value}")];
            for path in odd {
                is_clean(&soon(browser.page(&path), &path).await, &text);
            }
        }
    }
}

#[tokio::test]
async fn a02_a_naughty_id_in_any_path_is_nobodys() {
    let house = House::new().await;
    let with_id = routes().into_iter().filter(|route| route.path.contains("{id}"));
    for route in with_id {
        for text in naughty() {
            let path = route.path.replace("{id}", &encoded(&text).replace('+', "%20"));
            let answer = house.admin.json(route.method.parse().unwrap(), &path, json!({})).await;
            is_clean(&answer, &text);
            assert!(answer.status.is_client_error(), "{} {path}: {}", route.method, answer.text());
        }
    }
}
