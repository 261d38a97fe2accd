//! How many round trips to PostgreSQL a request takes: with a database over a network they are what it waits for.

use doorward::testing::{PASSWORD, RoundTrips, Site, Visitor};
use doorward_core::Mode;
use serde_json::{Value, json};

const NEW_PASSWORD: &str = "another horse, another staple";

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

/// Counts what each act took.
struct Table<'t> {
    trips: &'t RoundTrips,
    rows: Vec<Row>,
}

struct Row {
    act: String,
    trips: u32,
}

impl Table<'_> {
    fn row(&mut self, act: &str) {
        self.rows.push(Row { act: act.to_owned(), trips: self.trips.count() });
    }
}

/// Of each act the fewest round trips that it took in a round.
fn fewest(former: Vec<Row>, rows: Vec<Row>) -> Vec<Row> {
    if former.is_empty() {
        return rows;
    }
    assert_eq!(former.len(), rows.len());
    let fewer = |(a, b): (Row, Row)| if a.trips < b.trips { a } else { b };
    former.into_iter().zip(rows).map(fewer).collect()
}

fn text(rows: &[Row]) -> String {
    rows.iter().map(|Row { act, trips }| format!("{act}: {trips}\n")).collect()
}

/// What people do: of each act the round trips.
async fn people(site: &Site, table: &mut Table<'_>, name: &str) {
    let first = site.registered(name).await;
    table.row("register");
    let second = login(site, name).await;
    table.row("login");
    first.refresh().await.is_ok();
    table.row("refresh");
    let spent = first.copy();
    first.refresh().await.is_ok();
    table.trips.count();
    spent.refresh().await.is_ok();
    table.row("refresh again");
    second.post("/logout", Value::Null).await.is_ok();
    table.row("logout");
    second.post("/logout", Value::Null).await.is_ok();
    table.row("logout again");
    first.post("/logout/all", Value::Null).await.is_ok();
    table.row("logout everywhere");
    for mode in [Mode::Cookie, Mode::Session] {
        let browser = site.logged_in_by(name, mode).await;
        table.trips.count();
        browser.post("/logout", Value::Null).await.is_ok();
        table.row(&format!("logout in {} mode", mode.as_str()));
    }
    let (laptop, phone) = (login(site, name).await, login(site, name).await);
    let id = phone.session_id().await;
    laptop.get("/profile").await.is_ok();
    table.trips.count();
    laptop.delete(&format!("/sessions/{id}"), Value::Null).await.is_ok();
    table.row("end an own session");
    laptop.delete("/sessions", Value::Null).await.is_ok();
    table.row("end the other own sessions, again");
    laptop.patch("/profile", json!({ "name": "Countess" })).await.is_ok();
    table.row("change the own name");
    laptop
        .post("/profile/password", json!({ "current_password": PASSWORD, "new_password": NEW_PASSWORD }))
        .await
        .is_ok();
    table.row("change the own password");
    laptop.delete("/profile", json!({ "password": NEW_PASSWORD })).await.is_ok();
    table.row("delete the own account");
}

/// What an admin does, who sends their password where that is needed.
async fn admins(site: &Site, table: &mut Table<'_>, root: &Visitor, name: &str) {
    let plain = root.copy().confirming(false);
    let ada = site.logged_in(name).await;
    let user = format!("/admin/users/{}", ada.user_id().await);
    plain.get("/profile").await.is_ok();
    table.trips.count();
    plain.patch(&user, json!({ "name": "Lady" })).await.is_ok();
    table.row("rename a user");
    plain.patch(&user, json!({ "disabled": true })).await.is_ok();
    table.row("disable a user");
    plain.patch(&user, json!({ "disabled": false })).await.is_ok();
    table.row("enable a user");
    root.patch(&user, json!({ "role": "admin" })).await.is_ok();
    table.row("another role");
    root.patch(&user, json!({ "role": "user" })).await.is_ok();
    table.row("the old role");
    root.post(&format!("{user}/reset-link"), Value::Null).await.is_ok();
    table.row("reset link");
    login(site, name).await;
    table.trips.count();
    plain.delete(&format!("{user}/sessions"), Value::Null).await.is_ok();
    table.row("sign a user out");
    let session = login(site, name).await.session_id().await;
    table.trips.count();
    plain.delete(&format!("/admin/sessions/{session}"), Value::Null).await.is_ok();
    table.row("end a session");
    plain.post("/admin/invitations", json!({})).await.has_status(201);
    table.row("invite");
    let invited = plain.get("/admin/invitations").await.is_ok();
    let invitation = invited["invitations"][0]["id"].as_str().unwrap();
    table.trips.count();
    plain.delete(&format!("/admin/invitations/{invitation}"), Value::Null).await.is_ok();
    table.row("withdraw an invitation");
    let client = root.post("/admin/clients", json!({ "name": "the shop" })).await.has_status(201).json();
    table.row("register a client");
    let client = client["client_id"].as_str().unwrap();
    plain.delete(&format!("/admin/clients/{client}"), Value::Null).await.is_ok();
    table.row("delete a client");
    root.delete(&user, Value::Null).await.is_ok();
    table.row("delete a user");
}

const FEWEST: &str = "\
register: 3
login: 3
refresh: 2
refresh again: 4
logout: 1
logout again: 1
logout everywhere: 3
logout in cookie mode: 2
logout in session mode: 2
end an own session: 4
end the other own sessions, again: 2
change the own name: 5
change the own password: 9
delete the own account: 8
rename a user: 4
disable a user: 5
enable a user: 4
another role: 8
the old role: 8
reset link: 7
sign a user out: 5
end a session: 6
invite: 4
withdraw an invitation: 5
register a client: 8
delete a client: 4
delete a user: 8
";

#[tokio::test]
async fn what_people_do_takes_few_round_trips_to_the_database() {
    let Some((site, trips)) = counted().await else { return };
    let root = site.admin("root").await;
    let mut rows = Vec::new();
    // The first round prepares the statements on the connection. A busy machine can interrupt a client in the middle of
    // what it sends, which then counts twice, so there are further rounds.
    for round in 1..=5 {
        let mut table = Table { trips: &trips, rows: Vec::new() };
        trips.count();
        people(&site, &mut table, &format!("ada{round}")).await;
        admins(&site, &mut table, &root, &format!("ben{round}")).await;
        rows = fewest(rows, table.rows);
        if text(&rows) == FEWEST {
            break;
        }
    }
    assert_eq!(text(&rows), FEWEST);
}
