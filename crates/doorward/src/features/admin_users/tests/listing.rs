use std::collections::BTreeSet;
use std::time::Duration;

use doorward_core::email::Email;
use doorward_core::name::DisplayName;
use doorward_core::role::RoleName;
use doorward_core::{Mode, UserId};
use serde_json::{Value, json};

use super::site_with_ada;
use crate::accounts::Actor;
use crate::features::admin_users::{self, CreateUser};
use crate::store::{Tx, values};
use crate::testing::{Site, Visitor};

/// Follows `next` to the end; returns the pages' lengths and their rows, by id.
async fn pages(admin: &Visitor, path: &str, list: &str) -> (Vec<usize>, Vec<String>) {
    let (mut lengths, mut ids, mut after) = (Vec::new(), Vec::new(), String::new());
    loop {
        let page = admin.get(&format!("{path}{after}")).await.is_ok();
        let rows = page[list].as_array().unwrap();
        lengths.push(rows.len());
        ids.extend(rows.iter().map(|row| row["id"].as_str().unwrap().to_owned()));
        match &page["next"] {
            Value::String(next) => after = format!("&after={next}"),
            _ => return (lengths, ids),
        }
    }
}

async fn site_with_250() -> (Site, Visitor) {
    let site = Site::new().await;
    let admin = site.admin("root").await;
    for n in 0..250 {
        let new = CreateUser {
            name: DisplayName::parse(&format!("Number {n:03}")).unwrap(),
            email: Email::parse(&format!("n{n:03}@example.org")).unwrap(),
            role: RoleName::USER,
            password: None,
        };
        admin_users::create(&site.app, new, Actor::CommandLine).await.unwrap();
        site.clock.advance(Duration::from_millis(1));
    }
    (site, admin)
}

#[tokio::test]
async fn pages_show_each_of_many_users_once_in_the_order_of_their_making() {
    let (site, admin) = site_with_250().await;
    let (lengths, ids) = pages(&admin, "/admin/users?role=user&limit=100", "users").await;
    assert_eq!(lengths, [100, 100, 50]);
    assert!(ids.is_sorted() && ids.iter().collect::<BTreeSet<_>>().len() == 250);
    let (lengths, _) = pages(&admin, "/admin/users?role=user&limit=125", "users").await;
    assert_eq!(lengths, [125, 125], "a full last page has none after it");
    let (lengths, _) = pages(&admin, "/admin/users?x", "users").await;
    assert_eq!(lengths, [50, 50, 50, 50, 50, 1]);
    assert_eq!(admin.get("/admin/users?limit=200").await.is_ok()["users"].as_array().unwrap().len(), 200);

    // Users who come or go between two pages don't move others.
    let first = admin.get("/admin/users?role=user&limit=100").await.is_ok();
    let gone = first["users"][7]["id"].as_str().unwrap();
    admin.delete(&format!("/admin/users/{gone}"), Value::Null).await.is_ok();
    let next = first["next"].as_str().unwrap();
    let second = admin.get(&format!("/admin/users?role=user&limit=100&after={next}")).await.is_ok();
    assert_eq!(second["users"][0]["id"], ids[100].as_str());
    site.user("late", RoleName::USER).await;
    let (_, all) = pages(&admin, "/admin/users?role=user&limit=200", "users").await;
    assert_eq!((all.len(), &all[248]), (250, &ids[249]));
}

#[tokio::test]
async fn a_search_looks_into_names_and_addresses_in_any_case() {
    let (_, admin) = site_with_250().await;
    let found = async |query: &str| {
        let page = admin.get(&format!("/admin/users?{query}")).await.is_ok();
        page["users"]
            .as_array()
            .unwrap()
            .iter()
            .map(|user| user["name"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(found("search=NUMBER+24&limit=200").await.len(), 10);
    assert_eq!(found("search=n007%40").await, ["Number 007"]);
    assert_eq!(found("search=umber+01&limit=3").await, ["Number 010", "Number 011", "Number 012"]);
    assert_eq!(found("role=admin").await, ["root"]);
    assert_eq!(found("role=admin&search=number").await, [""; 0]);
    assert_eq!(found("search=&role=&after=&limit=1").await.len(), 1);
    assert_eq!(found("role=nobody").await, [""; 0]);
}

#[tokio::test]
async fn one_user_is_shown_as_in_the_list() {
    let (_, admin, _, path) = site_with_ada().await;
    let one = admin.get(&path).await;
    insta::assert_snapshot!(one.redacted(), @r#"
    {
      "user": {
        "created_at": "[time]",
        "disabled": false,
        "email": "ada@example.org",
        "email_vouched_by": "command_line",
        "id": "[id]",
        "name": "ada",
        "role": "user"
      }
    }
    "#);
    let listed = admin.get("/admin/users?role=user").await.is_ok();
    assert_eq!(listed["users"][0], one.json()["user"]);
}

#[tokio::test]
async fn sessions_are_listed_of_one_user_and_of_all() {
    let (site, admin, ada, path) = site_with_ada().await;
    let browser = site.logged_in_by("ada", Mode::Session).await;
    let hers = admin.get(&format!("{path}/sessions")).await.is_ok();
    let modes: BTreeSet<_> =
        hers["sessions"].as_array().unwrap().iter().map(|one| one["mode"].as_str().unwrap()).collect();
    assert_eq!(modes, BTreeSet::from(["bearer", "session"]));
    assert_eq!(hers["sessions"][0]["current"], false);

    let (lengths, ids) = pages(&admin, "/admin/sessions?limit=2", "sessions").await;
    assert_eq!((lengths, ids.len()), (vec![2, 1], 3));
    assert!(ids.is_sorted_by(|newer, older| newer > older), "the newest first");
    insta::assert_snapshot!(admin.get(&format!("/admin/sessions?limit=1&after={}", ids[1])).await.redacted()
        .replace("\"session\"", "\"[mode]\"").replace("\"bearer\"", "\"[mode]\""), @r#"
    {
      "next": null,
      "sessions": [
        {
          "created_at": "[time]",
          "expires_at": "[time]",
          "id": "[id]",
          "ip": "192.0.2.1",
          "last_seen_at": "[time]",
          "mode": "[mode]",
          "user_agent": null,
          "user_id": "[id]"
        }
      ]
    }
    "#);
    browser.post("/logout", Value::Null).await.is_ok();
    let (_, ids) = pages(&admin, "/admin/sessions?limit=200", "sessions").await;
    assert_eq!(ids.len(), 2);
    assert!(ids.contains(&ada.session_id().await));
}

#[tokio::test]
async fn a_page_has_one_to_two_hundred_rows() {
    let admin = Site::new().await.admin("root").await;
    for path in ["/admin/users", "/admin/sessions", "/admin/audit"] {
        for limit in ["1", "200"] {
            admin.get(&format!("{path}?limit={limit}")).await.is_ok();
        }
        for limit in ["0", "201", "-1", "1.5", "x"] {
            let problem = admin.get(&format!("{path}?limit={limit}")).await.is_refused("invalid_input");
            assert_eq!(problem["fields"][0]["field"], "limit", "{path} {limit}");
        }
    }
}

#[tokio::test]
async fn a_search_shows_first_who_begins_with_the_text_and_each_user_once() {
    let site = Site::new().await;
    let admin = site.admin("root").await;
    for (name, email) in [
        ("Lady Ada", "lady@example.org"),
        ("Zoe", "adams@example.org"),
        ("Adam", "adam@example.org"),
        ("Ada Byron", "byron@example.org"),
        ("Eve", "ada@example.org"),
        ("Mada", "x@adair.example"),
    ] {
        admin.post("/admin/users", json!({ "name": name, "email": email })).await.has_status(201);
        site.clock.advance(Duration::from_millis(1));
    }
    let in_order = ["Ada Byron", "Adam", "Eve", "Zoe", "Lady Ada", "Mada"];
    assert_eq!(found(&admin, "ADA").await, in_order);
    let names = async |query: &str| {
        let (_, ids) = pages(&admin, query, "users").await;
        let mut names = Vec::new();
        for id in ids {
            let user = admin.get(&format!("/admin/users/{id}")).await.is_ok();
            names.push(user["user"]["name"].as_str().unwrap().to_owned());
        }
        names
    };
    for limit in 1..=7 {
        assert_eq!(names(&format!("/admin/users?search=ada&limit={limit}")).await, in_order, "{limit}");
        assert_eq!(names(&format!("/admin/users?search=ada&role=user&limit={limit}")).await, in_order);
    }
    assert_eq!(names("/admin/users?search=ada&role=admin").await, [""; 0]);
    assert_eq!(names("/admin/users?search=oo&role=admin").await, ["root"]);
    // The owner of a whole address comes first, and once.
    assert_eq!(found(&admin, "adam@example.org").await, ["Adam"]);
    let shouted = admin.get("/admin/users?search=ADA@EXAMPLE.ORG&limit=1").await.is_ok();
    assert_eq!((&shouted["users"][0]["name"], &shouted["next"]), (&json!("Eve"), &Value::Null));
}

#[tokio::test]
async fn a_place_of_another_search_is_refused() {
    let site = Site::new().await;
    let admin = site.admin("root").await;
    for name in ["Ada", "Adam"] {
        let email = format!("{name}@example.org");
        admin.post("/admin/users", json!({ "name": name, "email": email })).await.has_status(201);
    }
    let next = admin.get("/admin/users?search=ad&limit=1").await.is_ok()["next"].clone();
    let next = next.as_str().unwrap();
    admin.get(&format!("/admin/users?search=ad&after={next}")).await.is_ok();
    for query in [
        format!("after={next}"),
        format!("search=root&after={next}"),
        format!("search=ad&after=x{next}"),
        "search=ad&after=n.AA.01979a3c-8f4e-7b21-9c55-0d7f6a2b41e8".to_owned(),
        "search=ad&after=n.YWQ.1".to_owned(),
        "search=ad&after=a.".to_owned(),
    ] {
        let problem = admin.get(&format!("/admin/users?{query}")).await.is_refused("invalid_input");
        assert_eq!(problem["fields"][0]["field"], "after", "{query}");
    }
}

#[tokio::test]
async fn a_page_of_a_search_looks_at_ten_thousand_users_and_the_next_one_goes_on() {
    let site = Site::new().await;
    let admin = site.admin("root").await;
    site.app
        .store
        .transaction(async |tx: &mut Tx| {
            for number in 0..10_050_u64 {
                let mut id = [0; 16];
                id[8..].copy_from_slice(&number.to_be_bytes());
                let id = UserId::from_bytes(id);
                let name = if number == 10_049 { "far within".to_owned() } else { format!("n{number}") };
                tx.execute(USER, values![id, &*name]).await?;
                tx.execute(ADDRESS, values![id, format!("{number}@example.org")]).await?;
            }
            Ok(())
        })
        .await
        .unwrap();
    for (role, first) in [("", 0), ("&role=user", 0)] {
        let page = admin.get(&format!("/admin/users?search=within{role}")).await.is_ok();
        assert_eq!(page["users"].as_array().unwrap().len(), first);
        let next = page["next"].as_str().unwrap();
        let page = admin.get(&format!("/admin/users?search=within{role}&after={next}")).await.is_ok();
        assert_eq!((&page["users"][0]["name"], &page["next"]), (&json!("far within"), &Value::Null));
        assert_eq!(found(&admin, "far").await, ["far within"], "a name that begins so is found at once");
    }
    let page = admin.page("/admin/users?search=within").await.text();
    assert!(page.contains("The next page goes on"), "{page}");
}

const USER: &str = "INSERT INTO users (id, name, name_folded, role, created_at, updated_at) VALUES ($1, $2, $2, 'user', 1, 1)";
const ADDRESS: &str = "INSERT INTO emails (address, user_id, folded, is_primary) VALUES ($2, $1, $2, 1)";

#[tokio::test]
async fn a_page_of_sessions_goes_past_those_that_have_expired() {
    let site = Site::with(&[("session.idle_ttl", "1h")]).await;
    let old = site.logged_in("ada").await;
    let admin = site.admin("root").await;
    site.clock.advance(Duration::from_secs(1));
    for _ in 0..6 {
        site.logged_in_by("bob", Mode::Session).await;
    }
    site.clock.advance(Duration::from_secs(2 * 3_600));
    let admin = {
        admin.refresh().await.is_ok();
        admin
    };
    let (lengths, ids) = pages(&admin, "/admin/sessions?limit=1", "sessions").await;
    assert_eq!((lengths, ids.len()), (vec![1, 1], 2), "six have expired");
    assert!(ids.contains(&{
        old.refresh().await.is_ok();
        old.session_id().await
    }));
}

/// The names of those found by this search, with the text encoded as a browser does.
async fn found(admin: &Visitor, text: &str) -> Vec<String> {
    let text: String = url::form_urlencoded::byte_serialize(text.as_bytes()).collect();
    let users = admin.get(&format!("/admin/users?search={text}")).await.is_ok();
    let names = users["users"].as_array().unwrap().iter();
    names.map(|user| user["name"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn a_search_is_brought_to_the_form_that_is_stored() {
    let site = Site::new().await;
    let admin = site.admin("root").await;
    for (name, email) in [
        ("Zoe\u{308} L\u{f6}we", "zoe@example.org"),
        ("Ada", " Ada@B\u{fc}cher.example"),
        ("Ivan", "ivan@\u{43f}\u{43e}\u{447}\u{442}\u{430}.\u{440}\u{444}"),
        ("Mallory", "m@\u{430}\u{440}\u{440}\u{4cf}\u{435}.com"),
    ] {
        admin.post("/admin/users", json!({ "name": name, "email": email })).await.has_status(201);
    }
    for (typed, name) in [
        ("  zoe@example ", "Zo\u{eb} L\u{f6}we"),
        ("\tZo\u{eb}\u{a0}", "Zo\u{eb} L\u{f6}we"),
        ("zoe\u{308}", "Zo\u{eb} L\u{f6}we"),
        ("ZOE\u{308} LO\u{308}", "Zo\u{eb} L\u{f6}we"),
        ("ada@b\u{fc}cher.example", "Ada"),
        ("ADA@BU\u{308}CHER.EXAMPLE", "Ada"),
        ("ada@b\u{fc}cher\u{3002}example", "Ada"),
        ("\u{ff41}da@b\u{fc}cher.example", "Ada"),
        ("b\u{fc}cher", "Ada"),
        ("@B\u{fc}ch", "Ada"),
        ("xn--bcher-kva", "Ada"),
        ("ada@xn--bcher-kva.example", "Ada"),
        ("ada@XN--Bcher-KVA.example", "Ada"),
        ("\u{43f}\u{43e}\u{447}\u{442}\u{430}.\u{440}\u{444}", "Ivan"),
        ("\u{41f}\u{41e}\u{427}", "Ivan"),
        ("m@\u{430}\u{440}\u{440}", "Mallory"),
    ] {
        assert_eq!(found(&admin, typed).await, [name], "{typed:?}");
    }
    assert_eq!(found(&admin, " \t ").await.len(), 5);
    assert_eq!(found(&admin, "m@appl").await, [""; 0], "a look-alike is another");
    let listed = admin.get("/admin/users?role=+admin+&limit=+10").await.is_ok();
    assert_eq!(listed["users"].as_array().unwrap().len(), 1);
    // An address that was changed is found by the new one.
    let ada =
        admin.get("/admin/users?search=ada").await.is_ok()["users"][0]["id"].as_str().unwrap().to_owned();
    let moved = json!({ "email": "ada@m\u{fc}nchen.example" });
    admin.patch(&format!("/admin/users/{ada}"), moved).await.is_ok();
    assert_eq!(found(&admin, "m\u{fc}nch").await, ["Ada"]);
    assert_eq!(found(&admin, "b\u{fc}ch").await, [""; 0]);
}
