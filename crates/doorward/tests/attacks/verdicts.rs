//! The shared table of good and bad requests, `tests/verdicts/tokens.json`. The server, the guard, /forward-auth and
//! the guards of other languages give the same verdict on each row.

mod cookies;
mod table;

use std::path::Path;
use std::sync::Arc;

use doorward::testing::Site;
use doorward_core::feed::{LeastVersion, Revoked};
use doorward_core::revocation::{Least, RevocationSet};
use doorward_core::token::KeySet;
use doorward_core::{Timestamp, UserId};
use doorward_guard::internals::VerificationKeys;
use doorward_guard::{Denied, Guard, Refusal};
use http::{HeaderMap, Method};
use serde_json::Value;

const NOW: i64 = 1_800_000_000;
const KEEP: u64 = 1_500;
const SECRET: &str = "T9k2vQ8xW4mZ7rB1nL6cH3yJ5dF0gS-p";
/// A user whose role is `user`.
const ADA: &str = "01890a5d-ac96-774b-bcce-b302099a8057";
/// A user whose tokens below version 3 are stale, since the role was changed to `admin`.
const CAROL: &str = "01890a5d-ac96-774b-bcce-b302099a8058";
const SESSION: &str = "01890a5d-ac96-774b-bcce-b302099a8059";
/// A session that has ended.
const ENDED: &str = "01890a5d-ac96-774b-bcce-b302099a805a";

fn path() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/verdicts/tokens.json")
}

fn read() -> Value {
    serde_json::from_str(&std::fs::read_to_string(path()).unwrap()).unwrap()
}

/// Names, keys and verdicts of all rows, and what they send if the signature is the same each time.
fn outline(table: &Value) -> Vec<String> {
    let line = |row: &Value| match row["key"].as_str().unwrap() {
        "hs256" => row.to_string(),
        key => format!("{key} {} {}", row["name"], row["verdict"]),
    };
    table["tokens"].as_array().unwrap().iter().map(line).collect()
}

#[test]
fn the_table_of_verdicts_is_what_its_generator_writes() {
    let made = table::made();
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(path(), table::text(&made)).unwrap();
    }
    assert_eq!(outline(&read()), outline(&made), "UPDATE=1 cargo test -p doorward --test attacks the_table");
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

fn revoke(table: &Value, set: &RevocationSet) {
    let revoked = Revoked::read(&table["revoked"].to_string()).unwrap();
    for one in revoked.sessions {
        set.end_session(one.session, Timestamp::from_secs(NOW) + one.keep);
    }
    for LeastVersion { user, version, keep } in revoked.users {
        set.require_version(user, Least { version, expires_at: Timestamp::from_secs(NOW) + keep });
    }
}

/// The rows of this key.
fn rows<'a>(table: &'a Value, key: &'a str) -> impl Iterator<Item = &'a Value> {
    table["tokens"].as_array().unwrap().iter().filter(move |row| row["key"] == key)
}

/// A server with the keys, users and revocations of the table.
async fn server(table: &Value, key: &str) -> Site {
    let secret = text(&table["secret"]);
    let mut settings = vec![("forward_auth.hosts", "127.0.0.1:8000"), ("trusted_proxies", "192.0.2.0/24")];
    settings.extend((key == "hs256").then_some(("JWT_SECRET", secret.as_str())));
    let site = Site::with(&settings).await;
    if key == "es256" {
        let current = KeySet::from_jwks(&table["jwks"].to_string()).unwrap();
        site.app.keys.verifier().replace_keys(VerificationKeys { current, ..Default::default() });
    }
    for user in table["users"].as_array().unwrap() {
        let id: UserId = text(&user["id"]).parse().unwrap();
        let insert = "INSERT INTO users (id, name, name_folded, role, created_at, updated_at) \
             VALUES ($1, $2, $2, $3, 0, 0)";
        let values = vec![id.into(), (&*text(&user["name"])).into(), (&*text(&user["role"])).into()];
        site.app.store.execute(insert, values).await.unwrap();
        crate::reading::add_email(&site, id, &text(&user["email"])).await;
    }
    revoke(table, &site.app.revocations.set);
    site
}

#[tokio::test]
async fn the_server_gives_the_verdicts_of_the_table() {
    let table = read();
    for key in ["hs256", "es256"] {
        let site = server(&table, key).await;
        for row in rows(&table, key) {
            let visitor = site.visitor();
            let mut request = visitor.request(Method::GET, "/profile");
            request.headers_mut().unwrap().extend(headers(row));
            let answer = visitor.send(request, "").await;
            let verdict = if answer.status == 200 { "ok".into() } else { answer.json()["code"].clone() };
            assert_eq!(verdict, row["verdict"], "{key}: {}", row["name"]);
        }
    }
}

#[tokio::test]
async fn forward_auth_gives_the_verdicts_of_the_table() {
    let table = read();
    for key in ["hs256", "es256"] {
        let site = server(&table, key).await;
        for row in rows(&table, key) {
            let visitor = site.visitor();
            let told = [("x-original-url", "http://127.0.0.1:8000/"), ("x-forwarded-method", "GET")];
            let mut request = visitor.request(Method::GET, "/forward-auth");
            for (name, value) in told {
                request = request.header(name, value);
            }
            request.headers_mut().unwrap().extend(headers(row));
            let answer = visitor.send(request, "").await;
            let (status, named) = (answer.status.as_u16(), answer.header("remote-user") != Some(""));
            match row["verdict"].as_str().unwrap() {
                "ok" => assert_eq!((status, named), (200, true), "{key}: {}", row["name"]),
                code => {
                    assert_eq!((status, named), (401, false), "{key}: {}", row["name"]);
                    answer.is_refused(code);
                }
            }
        }
    }
}

/// The guard of the table's keys, with its revocations.
async fn guard(table: &Value, key: &str) -> Guard {
    let builder = Guard::builder().clock(|| Timestamp::from_secs(NOW));
    let builder = match key {
        "hs256" => builder.secret(text(&table["secret"])),
        _ => builder.jwks(table["jwks"].to_string()),
    };
    let set = Arc::new(RevocationSet::new(100));
    revoke(table, &set);
    builder.revocations(set).build().await.unwrap()
}

fn headers(row: &Value) -> HeaderMap {
    let sent = ["authorization", "cookie"].into_iter();
    let sent = sent.filter_map(|name| Some((name.parse().unwrap(), row[name].as_str()?.parse().unwrap())));
    sent.collect()
}

#[tokio::test]
async fn the_guard_gives_the_verdicts_of_the_table() {
    let table = read();
    for key in ["hs256", "es256"] {
        let guard = guard(&table, key).await;
        for row in rows(&table, key) {
            let verdict = guard.check(&headers(row)).await;
            let verdict = verdict.map_or_else(|refusal| Denied::Refused(refusal).code(), |_| "ok");
            assert_eq!(verdict, row["verdict"], "{key}: {}", row["name"]);
        }
    }
}

/// The guard's answer is the server's answer, except for the id of the request.
#[tokio::test]
async fn the_guard_answers_in_the_words_of_the_server() {
    let table = read();
    let (site, guard) = (server(&table, "hs256").await, guard(&table, "hs256").await);
    let mut seen = std::collections::BTreeSet::new();
    for row in rows(&table, "hs256").filter(|row| row["verdict"] != "ok") {
        let refusal = guard.check(&headers(row)).await.unwrap_err();
        if !seen.insert(refusal.code()) {
            continue;
        }
        let visitor = site.visitor();
        let mut request = visitor.request(Method::GET, "/profile");
        request.headers_mut().unwrap().extend(headers(row));
        let theirs = visitor.send(request, "").await;
        let ours = Denied::Refused(refusal).response::<String>();
        assert_eq!(ours.status(), theirs.status);
        for name in ["content-type", "www-authenticate", "cache-control", "retry-after"] {
            let ours = ours.headers().get(name).map(|value| value.to_str().unwrap());
            assert_eq!(ours, theirs.header(name), "{name} of {refusal}");
        }
        let mut theirs = theirs.json();
        theirs.as_object_mut().unwrap().remove("request_id");
        assert_eq!(serde_json::from_str::<Value>(ours.body()).unwrap(), theirs);
    }
    assert_eq!(
        Vec::from_iter(seen),
        ["session_ended", "token_expired", "token_invalid", "token_missing", "token_stale"]
    );
    let unavailable = Denied::Refused(Refusal::Unavailable).response::<String>();
    assert_eq!(
        (unavailable.status().as_u16(), &unavailable.headers()["retry-after"]),
        (503, &"1".parse().unwrap())
    );
    let forbidden = Denied::Forbidden.response::<String>();
    let error = doorward::internals::Error::Forbidden;
    let (status, code, message) = (error.status(), error.code(), error.to_string());
    let body: Value = serde_json::from_str(forbidden.body()).unwrap();
    assert_eq!(
        (forbidden.status(), &body["code"], &body["message"]),
        (status, &code.into(), &message.into())
    );
}
