use super::tables::{TABLES, Verdict, key_of};
use super::{State, columns_moved, refusal};
use crate::store::values;
use crate::testing::Site;

const KEY_OF_SQLITE: &str = "SELECT m.name AS name, c.name AS column_name FROM sqlite_master m, \
     pragma_table_info(m.name) c WHERE m.type = 'table' AND c.pk > 0 ORDER BY m.name, c.pk";

#[tokio::test]
async fn every_table_of_the_database_has_a_verdict_and_no_other() {
    let site = Site::new().await;
    let tables = site.app.store.tables().await.unwrap();
    let known = |name: &str| TABLES.iter().any(|(known, _)| *known == name);
    for name in tables.keys() {
        assert!(
            known(name),
            "{name}: give it a line in transfer/tables.rs: moved by its key, or left and why"
        );
    }
    for (name, _) in TABLES.iter().filter(|(_, verdict)| matches!(verdict, Verdict::Moved(_))) {
        assert!(tables.contains_key(*name), "{name}: there is no such table");
    }
    for (name, verdict) in TABLES {
        match verdict {
            Verdict::Moved(key) => assert!(!key.is_empty(), "{name}"),
            Verdict::Left(why) | Verdict::Own(why) => assert!(why.split(' ').count() > 2, "{name}: say why"),
        }
    }
}

#[tokio::test]
async fn a_table_that_nobody_thought_of_stops_an_export() {
    let site = Site::new().await;
    let mut tables = site.app.store.tables().await.unwrap();
    assert!(columns_moved(&tables).is_ok());
    tables.insert("grants".into(), vec!["id".into()]);
    assert!(columns_moved(&tables).unwrap_err().to_string().contains("there is a table grants"));
    tables.remove("grants");
    tables.remove("devices");
    assert!(columns_moved(&tables).unwrap_err().to_string().contains("there is no table devices"));
}

#[tokio::test]
async fn the_key_of_each_table_is_its_primary_key() {
    let site = Site::new().await;
    if site.app.settings.database.is_some() {
        return;
    }
    for (name, _) in TABLES {
        let Some(key) = key_of(name) else { continue };
        let rows = site.app.store.list(KEY_OF_SQLITE, values![]).await.unwrap();
        let primary = rows.iter().filter(|row| row.get::<String>("name").unwrap() == *name);
        let primary: Vec<String> = primary.map(|row| row.get("column_name").unwrap()).collect();
        assert_eq!(primary, key, "{name}");
    }
}

#[tokio::test]
async fn a_database_that_is_closed_or_half_imported_is_refused_with_what_to_do() {
    let site = Site::new().await;
    let store = &site.app.store;
    assert!(refusal(store).await.unwrap().is_none());
    for (name, word) in
        [("closed_by_export", "doorward store reopen"), ("importing", "goes on where it stopped")]
    {
        let sql = "INSERT INTO facts (name, value) VALUES ($1, 7)";
        store.execute(sql, values![name]).await.unwrap();
        let refused = refusal(store).await.unwrap().unwrap();
        assert!(refused.hint.contains(word), "{refused:?}");
        store.transaction(async move |tx: &mut super::Tx| tx.drop_fact(name)).await.unwrap();
    }
    assert!(State::of(store).await.unwrap().closed.is_none());
}
