//! The answer from memory equals the handler's: the same status, headers and JSON. With a query, the handler answers.

use std::collections::BTreeSet;
use std::time::Duration;

use doorward::testing::PASSWORD;
use doorward_core::role::RoleName;
use serde_json::{Value, json};

use crate::client::{Reply, Wire, post, server};

/// An answer without its random parts: its headers in any order, its body.
fn lasting(reply: &Reply) -> (BTreeSet<String>, Value) {
    let new = ["date: ", "x-request-id: "];
    let head = reply.head.lines().filter(|line| !new.iter().any(|name| line.starts_with(name)));
    let mut body: Value = serde_json::from_str(&reply.body).unwrap();
    for of_request in ["request_id", "flow"] {
        body.as_object_mut().unwrap().remove(of_request);
    }
    (head.map(str::to_owned).collect(), body)
}

/// A visitor who asks both ways.
struct Asks {
    wire: Wire,
    base: &'static str,
    origin: &'static str,
}

impl Asks {
    /// Signs Ada in in this mode, and gives the line of her credential.
    async fn credential(&mut self, mode: &str) -> String {
        let login = json!({ "email": "ada@example.org", "password": PASSWORD, "mode": mode });
        let reply = self.wire.asks(&post(&format!("{}/login", self.base), &login)).await;
        assert_eq!(reply.status(), 200, "{}", reply.body);
        if mode == "bearer" {
            return format!("Authorization: Bearer {}", reply.field("token"));
        }
        let set = reply.head.lines().filter_map(|line| line.strip_prefix("set-cookie: "));
        let kept = set.map(|cookie| cookie.split(';').next().unwrap()).filter(|pair| !pair.ends_with('='));
        format!("Cookie: {}", kept.collect::<Vec<_>>().join("; "))
    }

    async fn request(&mut self, method: &str, path: &str, line: &str) -> Reply {
        let Self { base, origin, .. } = self;
        let request = format!("{method} {base}{path} HTTP/1.1\r\nHost: localhost\r\n{origin}{line}\r\n\r\n");
        self.wire.asks(&request).await
    }

    /// The status of both answers, which are the same.
    #[track_caller]
    fn status<'a>(&'a mut self, line: &'a str) -> impl Future<Output = u16> + 'a {
        let place = std::panic::Location::caller();
        async move {
            let mut statuses = BTreeSet::new();
            for path in ["/profile", "/dashboard"] {
                let from_memory = self.request("GET", path, line).await;
                let handlers = self.request("GET", &format!("{path}?x"), line).await;
                assert_eq!(lasting(&from_memory), lasting(&handlers), "{place}: {line} {path}");
                statuses.insert(from_memory.status());
            }
            assert_eq!(statuses.len(), 1, "{place}: {line}");
            statuses.pop_first().unwrap()
        }
    }
}

#[tokio::test]
async fn an_answer_from_memory_is_the_handlers() {
    let others = [
        ("base_path", "/auth"),
        ("origins", "https://app.example.com"),
        ("http.invalid_token_status", "403"),
    ];
    for (settings, base, origin, invalid) in
        [(&[][..], "", "", 401), (&others, "/auth", "Origin: https://app.example.com\r\n", 403)]
    {
        let (site, address) = server(&[&[("dev", "true")], settings].concat()).await;
        site.user("ada", RoleName::USER).await;
        let mut ada = Asks { wire: Wire::to(address).await, base, origin };
        for mode in ["bearer", "cookie", "session"] {
            let (line, left) = (ada.credential(mode).await, ada.credential(mode).await);
            assert_eq!((ada.status(&line).await, ada.status(&left).await), (200, 200));
            site.app.users.read_all_again();
            assert_eq!(ada.status(&line).await, 200);
            assert_eq!(ada.request("POST", "/logout", &left).await.status(), 200);
            assert_eq!(ada.status(&left).await, 401);
            site.clock.advance(Duration::from_secs(16 * 60));
            assert_eq!(ada.status(&line).await, if mode == "session" { 200 } else { invalid });
        }
        let unknown_key = "eyJhbGciOiJFUzI1NiIsImtpZCI6Im5vcGUiLCJ0eXAiOiJhdCtqd3QifQ.e30.c2ln";
        for bad in ["x.y.z", unknown_key, "", "a, b"] {
            assert_eq!(ada.status(&format!("Authorization: Bearer {bad}")).await, invalid, "{bad:?}");
        }
        assert_eq!(ada.status("X-Nothing: 1").await, 401);
    }
}
