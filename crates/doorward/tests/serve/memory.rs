//! What is answered from memory is what the handler would answer, byte for byte. A query leads past memory.

use std::collections::BTreeSet;

use doorward::testing::PASSWORD;
use serde_json::{Value, json};

use crate::client::{Reply, Wire, post, server};

/// An answer without what is new in each: its head in no order, its body.
fn lasting(reply: &Reply) -> (BTreeSet<String>, String) {
    let new = ["date: ", "x-request-id: "];
    let head = reply.head.lines().filter(|line| !new.iter().any(|name| line.starts_with(name)));
    let mut body: Value = serde_json::from_str(&reply.body).unwrap();
    if let Some(body) = body.as_object_mut() {
        body.remove("request_id");
    }
    (head.map(str::to_owned).collect(), body.to_string())
}

/// Signs Ada in in this mode, and gives the line of her credential.
async fn credential(wire: &mut Wire, base: &str, mode: &str) -> String {
    let login = json!({ "email": "ada@example.org", "password": PASSWORD, "mode": mode });
    let reply = wire.asks(&post(&format!("{base}/login"), &login)).await;
    assert_eq!(reply.status(), 200, "{}", reply.body);
    if mode == "bearer" {
        return format!("Authorization: Bearer {}", reply.field("token"));
    }
    let set = reply.head.lines().filter_map(|line| line.strip_prefix("set-cookie: "));
    let kept = set.map(|cookie| cookie.split(';').next().unwrap()).filter(|pair| !pair.ends_with('='));
    format!("Cookie: {}", kept.collect::<Vec<_>>().join("; "))
}

#[tokio::test]
async fn an_answer_from_memory_is_the_handlers() {
    for (base, origin) in [("", None), ("/auth", Some("https://app.example.com"))] {
        let mut settings = vec![("dev", "true")];
        settings.extend((!base.is_empty()).then_some(("base_path", base)));
        settings.extend(origin.map(|origin| ("origins", origin)));
        let (site, address) = server(&settings).await;
        site.user("ada", doorward_core::role::RoleName::USER).await;
        let mut wire = Wire::to(address).await;
        for mode in ["bearer", "cookie", "session"] {
            let line = credential(&mut wire, base, mode).await;
            let origin = origin.map_or(String::new(), |origin| format!("Origin: {origin}\r\n"));
            let get = |path: &str, line: &str| {
                format!("GET {base}{path} HTTP/1.1\r\nHost: a\r\n{origin}{line}\r\n\r\n")
            };
            for path in ["/profile", "/dashboard"] {
                let handlers = wire.asks(&get(&format!("{path}?x"), &line)).await;
                let from_memory = wire.asks(&get(path, &line)).await;
                assert_eq!((handlers.status(), from_memory.status()), (200, 200), "{path}");
                assert!(!from_memory.body.is_empty());
                assert_eq!(lasting(&from_memory), lasting(&handlers), "{mode} {path}");
            }
            let logout = format!("POST {base}/logout HTTP/1.1\r\nHost: a\r\n{line}\r\n\r\n");
            assert_eq!(wire.asks(&logout).await.status(), 200);
            for path in ["/profile", "/dashboard"] {
                for line in [line.as_str(), "Authorization: Bearer x.y.z", "X-Nothing: 1"] {
                    let handlers = wire.asks(&get(&format!("{path}?x"), line)).await;
                    let from_memory = wire.asks(&get(path, line)).await;
                    assert_eq!((handlers.status(), from_memory.status()), (401, 401), "{line} {path}");
                    assert_eq!(lasting(&from_memory), lasting(&handlers), "{mode} {line} {path}");
                }
            }
        }
    }
}
