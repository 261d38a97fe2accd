use super::*;

#[tokio::test]
async fn smoke() {
    let folder = tempfile::tempdir().unwrap();
    let t = std::time::Instant::now();
    let settings = StoreSettings { database: Database::Sqlite(folder.path().join("a.db")) };
    let store = Store::open(&settings, Timestamp::from_secs(1)).await.unwrap();
    eprintln!("{:?}", t.elapsed());
    assert_eq!(store.list("SELECT name FROM facts ORDER BY name", values![]).await.unwrap().len(), 2);
    let name = "ada".to_owned();
    let s2 = store.clone();
    let n: i64 = tokio::spawn(async move {
        s2.transaction(async move |tx| {
            tx.execute("UPDATE facts SET value = $2 WHERE name = $1", values!["admins_lock", 7]).await?;
            tx.execute("INSERT INTO facts (name, value) VALUES ($1, 5)", values![&name]).await?;
            Ok(name.len() as i64)
        })
        .await
    })
    .await
    .unwrap()
    .unwrap();
    assert_eq!(n, 3);
    store.ping().await.unwrap();
    store.close().await;
}
