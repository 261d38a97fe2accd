//! Statements that a transaction sends together.

use std::sync::atomic::AtomicBool;

use super::place::postgres_at;
use super::*;
use crate::testing::RoundTrips;

const ADD_TO: &str = "UPDATE numbers SET value = value + $2 WHERE name = $1";
const VALUE: &str = "UPDATE numbers SET value = value + 1 WHERE name = $1 RETURNING value";

/// A store on PostgreSQL with one connection, through a proxy that counts.
async fn counted(pooler: bool) -> Option<(Place, RoundTrips, Store)> {
    let place = Place::postgres().await?;
    place.open().await.close().await;
    let Database::Postgres(PostgresSettings { url, .. }) = &place.settings.database else { panic!() };
    let trips = RoundTrips::to(str::from_utf8(url.expose()).unwrap()).await;
    let mut settings = postgres_at(&trips.url);
    if let Database::Postgres(postgres) = &mut settings.database {
        (postgres.pool_size, postgres.pooler) = (1, pooler);
    }
    let store = Store::connect(&settings).await.unwrap();
    Some((place, trips, store))
}

/// The round trips of a transaction whose statements are prepared already.
async fn round_trips(
    trips: &RoundTrips,
    store: &Store,
    act: impl AsyncFn(&mut Tx) -> Result<(), StoreError> + Send + Copy + 'static,
) -> u32 {
    store.transaction(act).await.unwrap();
    trips.count();
    store.transaction(act).await.unwrap();
    trips.count()
}

#[tokio::test]
async fn a_transaction_takes_a_round_trip_for_each_time_that_it_waits() {
    for pooler in [false, true] {
        let Some((place, trips, store)) = counted(pooler).await else { return };
        let nothing = round_trips(&trips, &store, async |_| Ok(()));
        assert_eq!(nothing.await, 0);
        let queued = round_trips(&trips, &store, async |tx| {
            tx.queue(ADD_TO, values!["first", 1])?;
            tx.queue(ADD_TO, values!["second", 1])?;
            tx.queue_hit(ADD_TO, values!["second", 1])
        });
        assert_eq!(queued.await, 1);
        let one_answer = round_trips(&trips, &store, async |tx| {
            tx.queue(ADD_TO, values!["first", 1])?;
            let value: i64 = tx.find(VALUE, values!["first"]).await?.unwrap().get("value")?;
            tx.queue(ADD_TO, values!["first", value])
        });
        assert_eq!(one_answer.await, 2);
        let several = round_trips(&trips, &store, async |tx| {
            let (one, other) = (tx.ask(VALUE, values!["first"])?, tx.ask(ADD_TO, values!["none", 1])?);
            assert_eq!(tx.answer(other).await?.changed, 0);
            assert!(tx.answer(one).await?.into_first().is_some());
            Ok(())
        });
        assert_eq!(several.await, 2);
        store.close().await;
        place.remove().await;
    }
}

#[tokio::test]
async fn an_act_that_is_refused_before_it_waited_costs_no_round_trip() {
    let Some((place, trips, store)) = counted(false).await else { return };
    trips.count();
    let refused = store.transaction(async |tx| {
        tx.queue(ADD_TO, values!["first", 1])?;
        Err::<(), _>(StoreError::Overloaded)
    });
    assert_eq!(refused.await, Err(StoreError::Overloaded));
    assert_eq!((trips.count(), value_of(&store, "first").await), (0, Some(0)));
    store.close().await;
    place.remove().await;
}

#[tokio::test]
async fn queued_statements_run_in_their_order_among_those_that_are_answered() {
    on_each_engine(async |place| {
        let store = place.open().await;
        let seen = store.transaction(async |tx| {
            tx.queue(ADD_TO, values!["first", 10])?;
            let asked = tx.ask(READ, values!["first"])?;
            tx.queue("UPDATE numbers SET value = value * 2 WHERE name = 'first'", values![])?;
            let later = tx.find(READ, values!["first"]).await?.unwrap().get::<i64>("value")?;
            let earlier = tx.answer(asked).await?.into_first().unwrap().get::<i64>("value")?;
            for _ in 0..40 {
                tx.queue("UPDATE numbers SET value = value * 2 - 19 WHERE name = 'first'", values![])?;
                tx.queue("UPDATE numbers SET value = (value + 19) / 2 WHERE name = 'first'", values![])?;
            }
            tx.queue("UPDATE numbers SET value = value + 1 WHERE name = 'first'", values![])?;
            Ok((earlier, later))
        });
        assert_eq!(seen.await, Ok((10, 20)));
        assert_eq!(value_of(&store, "first").await, Some(21));
        store.close().await;
    })
    .await;
}

#[tokio::test]
async fn a_queued_statement_that_fails_undoes_the_act_though_its_commit_was_sent_with_it() {
    on_each_engine(async |place| {
        let store = place.open().await;
        store.execute(ADD, values!["a", 1]).await.unwrap();
        let (taken, untouched) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
        let (notes, not_this) = (taken.clone(), untouched.clone());
        let failing = store.transaction(async move |tx| {
            tx.queue(ADD_TO, values!["first", 1])?;
            tx.queue_noting(ADD_TO, values!["first", 1], &not_this)?;
            tx.queue_noting(ADD, values!["a", 2], &notes)?;
            tx.queue(ADD_TO, values!["first", 1])
        });
        assert!(failing.await.unwrap_err().is_conflict());
        assert!(taken.load(Ordering::Relaxed) && !untouched.load(Ordering::Relaxed));
        assert_eq!((value_of(&store, "first").await, value_of(&store, "a").await), (Some(0), Some(1)));

        // And one that a later answer would have hidden.
        let overlooked = store.transaction(async |tx| {
            let _ = tx.queue(ADD, values!["a", 2]);
            let _ = tx.find(READ, values!["first"]).await;
            let _ = tx.execute(ADD_TO, values!["first", 1]).await;
            Ok(())
        });
        assert!(overlooked.await.is_err());
        assert_eq!(value_of(&store, "first").await, Some(0));
        // The connections are as good as new.
        for _ in 0..8 {
            assert_eq!(
                store.transaction(async |tx| tx.execute(ADD_TO, values!["none", 1]).await).await,
                Ok(0)
            );
        }
        store.close().await;
    })
    .await;
}

#[tokio::test]
async fn a_change_that_must_hit_a_row_undoes_the_act_if_the_row_is_gone() {
    on_each_engine(async |place| {
        let store = place.open().await;
        let hit = |name: &'static str| {
            store.transaction(async move |tx| {
                tx.queue(ADD_TO, values!["first", 1])?;
                tx.queue_hit(ADD_TO, values![name, 1])?;
                tx.queue(ADD_TO, values!["first", 1])
            })
        };
        assert_eq!(hit("gone").await, Err(StoreError::Missed));
        assert_eq!(value_of(&store, "first").await, Some(0));
        assert_eq!(hit("second").await, Ok(()));
        assert_eq!((value_of(&store, "first").await, value_of(&store, "second").await), (Some(2), Some(1)));
        store.close().await;
    })
    .await;
}

#[tokio::test]
async fn no_commit_follows_a_statement_that_cannot_be_written() {
    on_each_engine(async |place| {
        let store = place.open().await;
        for wrong in [values!["first"], values!["first", "one"], values!["first", 1, 1]] {
            let act = store.transaction(async move |tx| {
                tx.queue(ADD_TO, values!["first", 1])?;
                tx.queue("UPDATE numbers SET value = value + $2 WHERE name = $1", wrong.clone())?;
                tx.queue(ADD_TO, values!["first", 1])
            });
            let outcome = act.await;
            // A value too many is harmless if nothing is prepared, and so is a text where SQLite expects a number.
            if outcome.is_err() {
                assert_eq!(value_of(&store, "first").await, Some(0), "{outcome:?}");
            } else {
                store.execute("UPDATE numbers SET value = 0", values![]).await.unwrap();
            }
        }
        let first = store.find(READ, values!["first"]).await.unwrap().unwrap();
        assert_eq!(first.get("value"), Ok(0_i64));
        store.close().await;
    })
    .await;
}

#[tokio::test]
async fn statements_that_may_be_lost_are_one_transaction_and_one_round_trip() {
    const WAITS: &str = "SELECT current_setting('synchronous_commit') AS value";
    for pooler in [false, true] {
        let Some((place, trips, store)) = counted(pooler).await else { return };
        let statement = |sql, values| Statement { sql, values };
        let add = || statement(ADD_TO, values!["first", 1]);
        store.unsynced(vec![add(), statement(WAITS, values![])]).await.unwrap();
        trips.count();
        let answers = store.unsynced(vec![add(), statement(WAITS, values![])]).await.unwrap();
        assert_eq!((trips.count(), answers[1][0].get("value")), (1, Ok("off".to_owned())));
        let after = store.find(WAITS, values![]).await.unwrap().unwrap();
        assert_eq!(after.get("value"), Ok("on".to_owned()));
        let value = async || {
            let row = store.find("SELECT value FROM numbers WHERE name = 'first'", values![]).await;
            row.unwrap().unwrap().get::<i64>("value").unwrap()
        };
        let before = value().await;
        let broken = statement("UPDATE numbers SET value = NULL WHERE name = $1", values!["first"]);
        assert!(store.unsynced(vec![add(), broken]).await.is_err());
        assert_eq!(value().await, before);
        store.close().await;
        place.remove().await;
    }
}
