//! A store that is locked, full, gone or silent. Writes are refused with the time to try again, requests that need no
//! store go on, and nothing has to be restarted.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use doorward::internals::store::{Database, Store, StoreSettings};
use doorward::testing::{Answer, PASSWORD, Site, Visitor};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::{Value, json};

use crate::client::soon;

fn database(site: &Site) -> PathBuf {
    site.app.settings.data.join("doorward.db")
}

fn is_on_sqlite(site: &Site) -> bool {
    site.app.settings.database.is_none()
}

async fn login(site: &Site, name: &str) -> Answer {
    let body = json!({ "email": format!("{name}@example.org"), "password": PASSWORD });
    site.visitor().post("/login", body).await
}

/// The server's own failure: try again soon. It says nothing against the credential.
#[track_caller]
fn comes_back_later(answer: &Answer) {
    answer.has_status(503).is_refused("unavailable");
    assert!(
        answer.header("retry-after").is_some_and(|after| after.parse::<u32>().is_ok_and(|after| after > 0))
    );
    assert!(answer.set_cookies().is_empty(), "{:?}", answer.set_cookies());
}

async fn is_served_without_a_store(ada: &Visitor) {
    ada.get("/profile").await.is_ok();
    ada.get("/healthz").await.is_ok();
}

#[tokio::test]
async fn d03_while_another_program_holds_the_database_only_writes_are_refused() {
    let site = Site::with(&[("throttle.enabled", "false")]).await;
    if !is_on_sqlite(&site) {
        return;
    }
    let _keeping_up = site.app.keep_up();
    let ada = site.logged_in("ada").await;
    let other = rusqlite::Connection::open(database(&site)).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let (refused, _) = tokio::join!(soon(login(&site, "ada")), is_served_without_a_store(&ada));
    comes_back_later(&refused);
    comes_back_later(&soon(ada.refresh()).await);
    is_served_without_a_store(&ada).await;
    other.execute_batch("ROLLBACK").unwrap();
    login(&site, "ada").await.is_ok();
    ada.refresh().await.is_ok();
}

/// In a process of its own, whose files may grow no further for a while.
#[tokio::test]
async fn d03_on_a_full_disk_writes_are_refused_and_those_that_were_not_are_kept() {
    const INSIDE: &str = "DOORWARD_TEST_FULL_DISK";
    const TEST: &str = "store::d03_on_a_full_disk_writes_are_refused_and_those_that_were_not_are_kept";
    if std::env::var_os(INSIDE).is_none() {
        // The signal that comes with the limit is for programs that don't look at what a write returns.
        let mut again = Command::new("sh");
        again.arg("-c").arg("trap '' XFSZ; exec \"$0\" \"$@\"").arg(std::env::current_exe().unwrap());
        let output = again.args(["--exact", TEST, "--nocapture"]).env(INSIDE, "1").output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        return assert!(output.status.success() && said.contains("1 passed"), "{output:?}");
    }
    let site = Site::with(&[("throttle.enabled", "false")]).await;
    if !is_on_sqlite(&site) {
        return;
    }
    let ada = site.logged_in("ada").await;
    let whole = getrlimit(Resource::Fsize);
    let log = database(&site).with_extension("db-wal");
    let room = std::fs::metadata(log).unwrap().len() + 200_000;
    setrlimit(Resource::Fsize, Rlimit { current: Some(room), ..whole }).unwrap();
    let mut kept = Vec::new();
    let refused = loop {
        let name = format!("user{}", kept.len());
        let body = json!({ "name": name, "email": format!("{name}@example.org"), "password": PASSWORD });
        let answer = site.visitor().post("/register", body).await;
        if answer.status != 201 {
            break answer;
        }
        kept.push(name);
        assert!(kept.len() < 1_000, "the disk never fills");
    };
    comes_back_later(&refused);
    assert!(!kept.is_empty());
    // Smaller writes find room for a little longer.
    let mut refresh = ada.refresh().await;
    while refresh.status == 200 {
        refresh = ada.refresh().await;
    }
    comes_back_later(&refresh);
    is_served_without_a_store(&ada).await;
    setrlimit(Resource::Fsize, whole).unwrap();
    for name in &kept {
        login(&site, name).await.is_ok();
    }
    let refused_one = format!("user{}", kept.len());
    login(&site, &refused_one).await.is_refused("invalid_credentials");
    ada.refresh().await.is_ok();
}

#[tokio::test]
async fn d04_without_its_postgresql_server_it_refuses_what_needs_one_and_recovers() {
    let Ok(server) = std::env::var("DOORWARD_TEST_POSTGRES") else { return };
    let (admin, connection) = tokio_postgres::connect(&server, tokio_postgres::NoTls).await.unwrap();
    let connection = tokio::spawn(connection);
    // A database of its own, to close its door.
    let name = format!("cut_off_{}", std::process::id());
    admin.batch_execute(&format!("CREATE DATABASE {name}")).await.unwrap();
    let mut url = url::Url::parse(&server).unwrap();
    url.set_path(&name);
    let site = Site::with(&[("throttle.enabled", "false"), ("database", url.as_str())]).await;
    let _keeping_up = site.app.keep_up();
    let ada = site.logged_in("ada").await;
    ada.get("/profile").await.is_ok();
    let cut = format!(
        "ALTER DATABASE {name} ALLOW_CONNECTIONS false; \
         SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"
    );
    admin.batch_execute(&cut).await.unwrap();
    comes_back_later(&soon(login(&site, "ada")).await);
    // A restart or failover takes no node off that can still check.
    let ready = |is_so: fn(&Value) -> bool| {
        let site = &site;
        soon(async move {
            while !is_so(&site.visitor().get("/readyz").await.is_ok()) {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        })
    };
    ready(|body| *body == json!({ "status": "ready", "writes": false })).await;
    is_served_without_a_store(&ada).await;
    admin.batch_execute(&format!("ALTER DATABASE {name} ALLOW_CONNECTIONS true")).await.unwrap();
    login(&site, "ada").await.is_ok();
    ready(|body| *body == json!({ "status": "ready" })).await;

    // A server that answers and refuses writes, as one that was replaced: others can do more.
    let refuse = format!(
        "ALTER DATABASE {name} SET default_transaction_read_only = on; \
         SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"
    );
    admin.batch_execute(&refuse).await.unwrap();
    let refused = soon(async {
        loop {
            let answer = site.visitor().get("/readyz").await;
            if answer.status != 200 {
                return answer;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
    comes_back_later(&refused.await);
    let allow = format!(
        "ALTER DATABASE {name} RESET default_transaction_read_only; \
         SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"
    );
    admin.batch_execute(&allow).await.unwrap();
    soon(async {
        while site.visitor().get("/readyz").await.status != 200 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
    .await;
    connection.abort();
}

/// A session may have ended on another node meanwhile: this node's last knowledge lets nobody in.
#[tokio::test]
async fn a_node_that_cannot_read_revocations_for_long_asks_the_store_and_refuses_where_that_fails() {
    let site = Site::with(&[("revocations.stale_after", "500ms")]).await;
    let _keeping_up = site.app.keep_up();
    let ada = site.logged_in("ada").await;
    let other = site.restarted().await;
    for hide in ["ALTER TABLE facts RENAME TO away", "ALTER TABLE sessions RENAME TO away_too"] {
        other.app.store.execute(hide, Vec::new()).await.unwrap();
    }
    ada.get("/profile").await.is_ok();
    let refused = soon(async {
        loop {
            let answer = ada.get("/profile").await;
            if answer.status != 200 {
                return answer;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    comes_back_later(&refused.await);
    other.app.store.execute("ALTER TABLE away_too RENAME TO sessions", Vec::new()).await.unwrap();
    ada.get("/profile").await.is_ok();
    other.app.store.execute("ALTER TABLE away RENAME TO facts", Vec::new()).await.unwrap();
    soon(async {
        while site.app.revocations.set.is_behind() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
    ada.get("/profile").await.is_ok();
}

/// As the guide says: `doorward backup` while the server runs, and the secret.
#[tokio::test]
async fn d07_a_backup_made_under_load_is_one_moment_and_whole() {
    let site = Site::with(&[("throttle.enabled", "false")]).await;
    if !is_on_sqlite(&site) {
        return;
    }
    let ada = site.logged_in("ada").await;
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join("doorward.db");
    let (source, target) = (database(&site), copy.clone());
    let backup = tokio::spawn(async move {
        let settings = StoreSettings { database: Database::Sqlite(source) };
        Store::back_up(&settings, &target).await.unwrap();
    });
    let mut registered = 0;
    while !backup.is_finished() || registered < 5 {
        let name = format!("user{registered}");
        let body = json!({ "name": name, "email": format!("{name}@example.org"), "password": PASSWORD });
        site.visitor().post("/register", body).await.has_status(201);
        registered += 1;
    }
    backup.await.unwrap();
    let kept = rusqlite::Connection::open(&copy).unwrap();
    let count = |sql: &str| kept.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
    // A registration makes an account, a session and an entry in one act: none of them exists without the others.
    let users = count("SELECT count(*) FROM users");
    assert!((1..=registered + 1).contains(&users), "{users}");
    let strays =
        "SELECT count(*) FROM users u WHERE NOT EXISTS (SELECT 1 FROM sessions s WHERE s.user_id = u.id)";
    assert_eq!(count(strays), 0);
    let whole: String = kept.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(whole, "ok");
    // Nobody starts on it before `doorward restored` has run; here nothing was lost.
    assert_eq!(count("SELECT value FROM facts WHERE name = 'set_back'"), 1);
    kept.execute("UPDATE facts SET value = 0 WHERE name = 'set_back'", []).unwrap();
    drop(kept);
    // Restored over the old data, with the secret: signed-in users still are, and can sign in again.
    site.app.store.close().await;
    for old in ["doorward.db-wal", "doorward.db-shm"] {
        let _ = std::fs::remove_file(site.app.settings.data.join(old));
    }
    std::fs::copy(&copy, database(&site)).unwrap();
    let restored = site.restarted().await;
    ada.at(&restored).get("/profile").await.is_ok();
    login(&restored, "ada").await.is_ok();
}
