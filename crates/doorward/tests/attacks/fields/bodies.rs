//! Bodies without a shape, with too much of one, and of the wrong types, to every route that reads one.

use std::time::Instant;

use base64::Engine;

use super::*;

/// Those that refuse a body which is not JSON; the others do their work without one.
async fn readers(house: &House) -> Vec<Door> {
    let doors = house.doors().await;
    doors.into_iter().filter(|door| !door.fields.is_empty()).collect()
}

async fn raw(house: &House, door: &Door, body: impl Into<axum::body::Body>) -> Answer {
    let caller = house.caller(&door.path);
    let request =
        caller.request(door.method.clone(), &door.path).header(header::CONTENT_TYPE, "application/json");
    soon(caller.send(request, body), &door.path).await
}

#[tokio::test]
async fn h02_every_route_refuses_every_body_that_is_no_json() {
    let suite: Value = serde_json::from_str(include_str!("../../data/jsontestsuite.json")).unwrap();
    let decode =
        |text: &Value| base64::engine::general_purpose::STANDARD.decode(text.as_str().unwrap()).unwrap();
    let house = House::new().await;
    let readers = readers(&house).await;
    assert!(readers.len() >= 10, "{readers:?}");
    for test in suite["tests"].as_array().unwrap() {
        let body = decode(&test["base64"]);
        for door in &readers {
            let answer = raw(&house, door, body.clone()).await;
            is_clean(&answer, test["name"].as_str().unwrap());
            match test["expect"].as_str().unwrap() {
                _ if body.len() > 64 * 1024 => answer.has_status(413).is_refused("too_large"),
                "reject" if !body.is_empty() => answer.has_status(400).is_refused("malformed"),
                _ => continue,
            };
        }
    }
    for odd in [
        &b"\xef\xbb\xbf\xef\xbb\xbf{}"[..],
        b"\xff\xfe{\0}\0",
        b"{\"a\":\"\xff\"}",
        b"{\"a\0\":1}",
        b"{}\0",
        b"{} {}",
        b"nul",
    ] {
        for door in &readers {
            raw(&house, door, odd).await.has_status(400).is_refused("malformed");
        }
    }
}

#[tokio::test]
async fn h03_deep_wide_and_doubled_bodies_are_refused_at_once_by_every_route() {
    let house = House::new().await;
    let many = |n: usize| (0..n).map(|n| format!("\"{n:x}\":0")).collect::<Vec<_>>().join(",");
    let bodies = [
        ("[".repeat(60_000), 400),
        ("{\"a\":".repeat(12_000), 400),
        (format!("{{\"email\":{}1{}}}", "[".repeat(30_000), "]".repeat(30_000)), 400),
        (format!("{{\"password\":{}{{}}{}}}", "{\"a\":".repeat(8_000), "}".repeat(8_000)), 400),
        (format!("{{{}}}", many(1_000_000)), 413),
        (format!("[{}]", "0,".repeat(500_000)), 413),
        ("{\"email\":\"a\",\"email\":\"b\"}".into(), 400),
        ("{\"email\":\"a\",\"\\u0065mail\":\"b\"}".into(), 400),
        ("{\"x\":{\"a\":1e400}}".into(), 400),
        ("{\"x\":-1e9999}".into(), 400),
    ];
    for door in readers(&house).await {
        for (body, status) in &bodies {
            let began = Instant::now();
            let answer = raw(&house, &door, body.clone()).await;
            let took = began.elapsed();
            // Its limit is lower.
            let status = if door.path == "/inspect" && body.len() > 16_384 { 413 } else { *status };
            assert_eq!(answer.status, status, "{door:?} {:.40}: {}", body, answer.text());
            assert!(took < Duration::from_secs(1), "{door:?} {body:.40} took {took:?}");
        }
        let wide = raw(&house, &door, format!("{{{}}}", many(6_000))).await;
        is_clean(&wide, "many names");
    }
}

#[tokio::test]
async fn h04_a_field_of_another_type_is_named_by_every_route() {
    let house = House::new().await;
    for door in readers(&house).await {
        for field in &door.fields {
            for wrong in [
                json!(1),
                json!(-1.5),
                json!([]),
                json!(["a"]),
                json!({}),
                json!({ "$ne": null }),
                json!(true),
                json!(u64::MAX),
            ] {
                if field == "disabled" && wrong.is_boolean() {
                    continue;
                }
                let answer = raw(&house, &door, door.body(field, wrong.clone()).to_string()).await;
                let problem = answer.has_status(422).is_refused("invalid_input");
                let named =
                    problem["fields"].as_array().unwrap().iter().any(|one| one["field"] == field.as_str());
                assert!(named, "{door:?} {field}={wrong}: {problem}");
            }
        }
    }
}

#[tokio::test]
async fn h14_a_compressed_body_is_read_by_no_route() {
    let house = House::new().await;
    // A thousandfold: any decompression would show.
    let bomb =
        b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\x03\xed\xc1\x01\x0d\x00\x00\x00\xc2\xa0\xf7Om\x0e7\xa0\x00"
            .to_vec();
    for door in readers(&house).await {
        for coding in ["gzip", "deflate", "br", "zstd", "compress", "identity", "gzip, gzip", "x-unknown", ""]
        {
            let caller = house.caller(&door.path);
            let request = caller
                .request(door.method.clone(), &door.path)
                .header(header::CONTENT_TYPE, "application/json")
                .header(header::CONTENT_ENCODING, coding);
            let answer = caller.send(request, bomb.clone()).await;
            answer.has_status(415).is_refused("unsupported_media_type");
        }
    }
}

#[tokio::test]
async fn h15_no_answer_is_compressed_however_it_is_asked_for() {
    let house = House::new().await;
    for (method, path) in house.routes(|route| route.method == "GET") {
        for accept in ["application/json", "text/html"] {
            let request = house.admin.request(method.clone(), &path).header(header::ACCEPT, accept);
            let answer = house
                .admin
                .send(request.header(header::ACCEPT_ENCODING, "gzip, deflate, br, zstd"), "")
                .await;
            assert_eq!(answer.header("content-encoding"), None, "{path}");
        }
    }
    let login = json!({ "email": "ada@example.org", "password": PASSWORD });
    let visitor = house.site.visitor();
    let request = visitor
        .request(Method::POST, "/login")
        .header(header::ACCEPT_ENCODING, "gzip")
        .header(header::CONTENT_TYPE, "application/json");
    assert_eq!(
        visitor.send(request, login.to_string()).await.has_status(200).header("content-encoding"),
        None
    );
}

#[tokio::test]
async fn i06_no_value_reaches_the_database_that_its_driver_could_not_count() {
    let house = House::new().await;
    let long = "a".repeat(60_000);
    for door in readers(&house).await {
        for field in &door.fields {
            let answer = raw(&house, &door, door.body(field, json!(long)).to_string()).await;
            if door.path == "/register" && ["return_to", "device"].contains(&field.as_str()) {
                // A form's target and a device's secret never reach the database: an invalid one is ignored. The second
                // one finds the address taken by the first.
                assert!([201, 409].contains(&answer.status.as_u16()), "{field}: {}", answer.text());
            } else {
                assert!(answer.status.is_client_error(), "{door:?} {field}: {}", answer.text());
            }
            is_clean(&answer, "a long text");
        }
        for size in [64 * 1024 + 1, 1 << 20, 16 << 20] {
            raw(&house, &door, vec![b' '; size]).await.has_status(413).is_refused("too_large");
        }
    }
    for name in names(&[".text", ".parse"]) {
        for (_, path) in house.routes(|route| route.method == "GET") {
            is_clean(&house.admin.get(&format!("{path}?{name}={long}")).await, "a long text");
        }
    }
}
