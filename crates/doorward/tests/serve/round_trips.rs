//! How many round trips to PostgreSQL a request takes: with a database over a network they are what it waits for.

use std::fmt::Write;

use doorward::testing::{PASSWORD, RoundTrips, Site, Visitor};
use serde_json::{Value, json};

/// A site whose one connection goes through a proxy that counts.
async fn counted() -> Option<(Site, RoundTrips)> {
    let server = std::env::var("DOORWARD_TEST_POSTGRES").ok()?;
    let (admin, connection) = tokio_postgres::connect(&server, tokio_postgres::NoTls).await.unwrap();
    let connection = tokio::spawn(connection);
    let name = format!("round_trips_{}", std::process::id());
    admin.batch_execute(&format!("CREATE DATABASE {name}")).await.unwrap();
    connection.abort();
    let mut url = url::Url::parse(&server).unwrap();
    url.set_path(&name);
    let trips = RoundTrips::to(url.as_str()).await;
    let settings = [("database", trips.url.as_str()), ("postgres.pool_size", "1")];
    Some((Site::with(&settings).await, trips))
}

async fn login(site: &Site, name: &str) -> Visitor {
    let visitor = site.visitor();
    let body = json!({ "email": format!("{name}@example.org"), "password": PASSWORD, "mode": "bearer" });
    visitor.post("/login", body).await.is_ok();
    visitor
}

#[tokio::test]
async fn what_people_do_takes_few_round_trips_to_the_database() {
    let Some((site, trips)) = counted().await else { return };
    let mut table = String::new();
    // The first round prepares the statements on the connection.
    for name in ["ada", "ben"] {
        table.clear();
        trips.count();
        let mut count = |what| writeln!(table, "{what}: {}", trips.count()).unwrap();
        let first = site.registered(name).await;
        count("register");
        let second = login(&site, name).await;
        count("login");
        first.refresh().await.is_ok();
        count("refresh");
        second.post("/logout", Value::Null).await.is_ok();
        count("logout");
        second.post("/logout", Value::Null).await.is_ok();
        count("logout again");
        first.post("/logout/all", Value::Null).await.is_ok();
        count("logout everywhere");
    }
    assert_eq!(
        table,
        "register: 3\nlogin: 3\nrefresh: 2\nlogout: 1\nlogout again: 1\nlogout everywhere: 3\n"
    );
}
