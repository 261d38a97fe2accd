//! Naughty texts in every field of every body, as JSON and as a form.

use super::*;

#[tokio::test]
async fn i01_a_naughty_text_in_any_field_of_any_body_gets_a_clean_answer() {
    let house = House::new().await;
    let (doors, texts) = (house.doors().await, naughty());
    let mut sent = 0;
    for door in &doors {
        for field in &door.fields {
            for text in &texts {
                let body = door.body(field, json!(text));
                let asked = format!("{} {} {field}={text:?}", door.method, door.path);
                let caller = house.caller(&door.path);
                let answer = soon(caller.json(door.method.clone(), &door.path, body), &asked).await;
                is_clean(&answer, text);
                sent += 1;
            }
        }
    }
    assert!(sent > 5_000, "only {sent} bodies were sent");
    house.admin.get("/profile").await.is_ok();
}

#[tokio::test]
async fn i01_a_naughty_text_in_any_field_of_any_form_draws_no_markup() {
    let house = House::new().await;
    let (doors, texts) = (house.doors().await, naughty());
    let mut pages = 0;
    for door in doors.iter().filter(|door| door.method == Method::POST) {
        for field in &door.fields {
            for text in &texts {
                let body = door.body(field, json!(text));
                let fields = body
                    .as_object()
                    .unwrap()
                    .iter()
                    .filter_map(|(name, value)| Some((name.as_str(), value.as_str()?)));
                let fields: Vec<_> = fields
                    .map(|(name, value)| {
                        (name, if name == "mode" && field != "mode" { "session" } else { value })
                    })
                    .collect();
                let asked = format!("{} {field}={text:?}", door.path);
                let answer = soon(house.caller(&door.path).form(&door.path, &fields), &asked).await;
                is_clean(&answer, text);
                pages += usize::from(
                    answer.header("content-type").is_some_and(|kind| kind.starts_with("text/html")),
                );
            }
        }
    }
    assert!(pages > 1_000, "only {pages} pages were drawn");
}

/// Routes that refuse no field may still read one, as the logout does.
#[tokio::test]
async fn i01_a_naughty_text_in_all_fields_of_a_route_that_refuses_none_gets_a_clean_answer() {
    let house = House::new().await;
    let doors = house.doors().await;
    let silent = doors.iter().filter(|door| door.fields.is_empty() && !door.path.contains("sessions"));
    for door in silent.filter(|door| door.method == Method::POST) {
        for text in naughty() {
            let mut body: Map<String, Value> =
                fields(&house.site).into_iter().map(|field| (field, json!(text))).collect();
            body.insert(text.clone(), json!({ text.as_str(): [text] }));
            let caller = house.caller(&door.path);
            let answer = soon(caller.post(&door.path, Value::Object(body)), &door.path).await;
            is_clean(&answer, &text);
        }
    }
    house.admin.get("/profile").await.is_ok();
}

/// PostgreSQL stores no NUL in a text: a stored one is refused, a compared one matches nothing.
#[tokio::test]
async fn i02_a_nul_in_any_field_query_or_path_is_refused_and_no_failure() {
    let house = House::new().await;
    for door in house.doors().await {
        for field in &door.fields {
            for text in ["\0", "a\0", "\0a", "a\0@example.org", "admin\0", "a\u{0}b c\u{0}d e"] {
                let answer = house
                    .caller(&door.path)
                    .json(door.method.clone(), &door.path, door.body(field, json!(text)))
                    .await;
                let is_text_without_rules =
                    ["return_to", "device"].contains(&field.as_str()) || field.contains("password");
                assert!(
                    answer.status.is_client_error() || is_text_without_rules,
                    "{door:?} {field}={text:?}: {}",
                    answer.text()
                );
                is_clean(&answer, text);
            }
        }
    }
    for (method, path) in house.routes(|route| route.method == "GET") {
        for name in names(&[".text", ".parse"]) {
            let answer = house.admin.json(method.clone(), &format!("{path}?{name}=a%00b"), Value::Null).await;
            is_clean(&answer, "a\0b");
        }
    }
}
