//! A database that is cut off, silent, gone, locked or replaced: noticed in time, named, and used again by itself.

use std::time::Duration;

use kapelle_storage::db::{changes, facts};
use kapelle_storage::{Connection, Database, StorageError};
use kapelle_testing::postgres::TestPostgres;
use kapelle_testing::tcp_proxy::TcpProxy;
use tokio::time::{Instant, pause, resume, timeout};

use crate::world::{NOW, open, organization};

/// As many connections as a process takes for its work.
const ALL: usize = 10;

async fn through_a_proxy() -> (TestPostgres, TcpProxy, Database) {
    let server = TestPostgres::create().await;
    let (proxy, url) = server.proxied().await;
    let database = open(&url).await;
    (server, proxy, database)
}

async fn take_all(database: &Database) -> Vec<Connection> {
    let mut taken = Vec::new();
    for _ in 0..ALL {
        taken.push(database.read().await.unwrap());
    }
    taken
}

#[track_caller]
fn is_outage<T>(outcome: Result<T, StorageError>) -> String {
    match outcome {
        Err(error) if error.is_outage() => error.to_string(),
        Err(error) => panic!("this is something else: {error}"),
        Ok(_) => panic!("it went well"),
    }
}

#[tokio::test]
async fn connections_that_were_cut_are_replaced_before_anybody_gets_one() {
    let (_server, proxy, database) = through_a_proxy().await;
    drop(take_all(&database).await);
    for _ in 0..3 {
        proxy.cut();
        database.ping().await.unwrap();
        let mut tx = database.write().await.unwrap();
        facts::set(&mut tx, "name", "value").await.unwrap();
        tx.commit().await.unwrap();
    }
}

#[tokio::test]
async fn a_server_that_is_gone_is_an_outage_and_is_found_again() {
    let (_server, proxy, database) = through_a_proxy().await;
    let mut held = database.read().await.unwrap();
    let mut tx = database.write().await.unwrap();
    facts::set(&mut tx, "name", "value").await.unwrap();
    proxy.refuse();
    is_outage(facts::get(&mut held, "name").await);
    is_outage(tx.commit().await);
    let began = Instant::now();
    let sentence = is_outage(database.read().await);
    assert!(
        began.elapsed() < Duration::from_mins(1),
        "{:?}",
        began.elapsed()
    );
    assert!(
        sentence.starts_with("no connection to the database postgres://127.0.0.1:"),
        "{sentence}"
    );

    proxy.restore().await;
    let mut on = database.read().await.unwrap();
    assert_eq!(
        facts::get(&mut on, "name").await.unwrap(),
        None,
        "it was never committed"
    );
}

#[tokio::test]
async fn every_wait_for_a_silent_server_ends_and_no_connection_is_lost_to_it() {
    let (_server, proxy, database) = through_a_proxy().await;
    let mut held = take_all(&database).await;
    drop(held.split_off(ALL / 2));
    proxy.black_hole();
    // Nothing comes through, so the time until each limit can pass at once.
    pause();
    let began = Instant::now();
    let sentence = is_outage(facts::get(&mut held[0], "name").await);
    assert!(
        sentence.contains("did not answer within 35 s"),
        "{sentence}"
    );
    is_outage(database.write().await);
    is_outage(database.read().await);
    is_outage(database.watch().await);
    is_outage(database.read_aside().await);
    drop(held);
    assert!(
        began.elapsed() < Duration::from_secs(100),
        "{:?}",
        began.elapsed()
    );
    resume();

    // A firewall that has forgotten them: whatever is still open is dead, and does not look like it.
    proxy.forget();
    proxy.restore().await;
    let all = timeout(Duration::from_secs(40), take_all(&database));
    assert_eq!(
        all.await.expect("every connection can be had again").len(),
        ALL
    );
}

#[tokio::test]
async fn a_commit_to_a_silent_server_ends() {
    let (_server, proxy, database) = through_a_proxy().await;
    let mut tx = database.write().await.unwrap();
    facts::set(&mut tx, "name", "value").await.unwrap();
    proxy.black_hole();
    pause();
    let sentence = is_outage(tx.commit().await);
    assert!(
        sentence.contains("did not answer within 35 s"),
        "{sentence}"
    );
}

#[tokio::test]
async fn a_watcher_whose_connection_is_dead_says_so() {
    let (_server, proxy, database) = through_a_proxy().await;
    let mut watcher = database.watch().await.unwrap();
    proxy.forget();
    pause();
    let began = Instant::now();
    while watcher.changed(Duration::from_secs(1)).await.is_ok() {
        assert!(began.elapsed() < Duration::from_secs(30), "nobody noticed");
    }
}

#[tokio::test]
async fn who_must_know_in_time_does_not_wait_behind_those_who_work() {
    let server = TestPostgres::create().await;
    let database = open(server.url()).await;
    let working = take_all(&database).await;
    let mut aside = timeout(Duration::from_secs(5), database.read_aside())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(changes::latest(&mut aside).await.unwrap(), 0);
    drop(working);
}

#[tokio::test]
async fn locks_of_a_client_that_went_silent_are_free_again_soon() {
    let (server, proxy, lost) = through_a_proxy().await;
    let id = organization(&lost, "acme").await;
    let mut tx = lost.write().await.unwrap();
    changes::append(&mut tx, NOW, id, "token", "delete", "1")
        .await
        .unwrap();
    proxy.black_hole();

    let other = Database::connect(server.url()).await.unwrap();
    let mut waiting = other.write().await.unwrap();
    let appended = changes::append(&mut waiting, NOW, id, "token", "delete", "2");
    appended
        .await
        .expect("the server gives the lock away before we give up");
    waiting.commit().await.unwrap();
    drop(tx);
}

#[tokio::test]
async fn an_sqlite_database_that_somebody_locks_is_waited_for_and_read_meanwhile() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", folder.path().join("kapelle.db").display());
    let (ours, other) = (open(&url).await, Database::connect(&url).await.unwrap());
    let lock = other.write().await.unwrap();
    let waiting = tokio::spawn({
        let ours = ours.clone();
        async move { ours.write().await.map(drop) }
    });
    ours.ping().await.unwrap();
    assert!(!waiting.is_finished());
    drop(lock);
    waiting.await.unwrap().unwrap();

    let lock = other.write().await.unwrap();
    let sentence = is_outage(ours.write().await);
    assert!(sentence.contains("database is locked"), "{sentence}");
    ours.ping().await.unwrap();
    drop(lock);
    let mut tx = ours.write().await.unwrap();
    facts::set(&mut tx, "name", "value").await.unwrap();
    tx.commit().await.unwrap();
}

#[tokio::test]
async fn an_sqlite_file_that_was_moved_away_is_neither_used_nor_made_anew() {
    let folder = tempfile::tempdir().unwrap();
    let (path, away) = (
        folder.path().join("kapelle.db"),
        folder.path().join("away.db"),
    );
    let url = format!("sqlite:{}", path.display());
    let database = open(&url).await;
    organization(&database, "acme").await;
    std::fs::rename(&path, &away).unwrap();

    let moved = format!(
        "the SQLite database {} was moved away or replaced under a running process: put the very same file back, or \
         stop every process on it and start again",
        path.display()
    );
    assert_eq!(is_outage(database.read().await), moved);
    assert_eq!(is_outage(database.read_aside().await), moved);
    assert_eq!(is_outage(database.write().await), moved);
    assert_eq!(is_outage(database.watch().await), moved);
    let missing = is_outage(Database::connect(&url).await);
    assert!(
        missing.contains("kapelle.db is missing, and its log"),
        "{missing}"
    );
    assert!(!path.exists(), "an empty one would have cost the log");

    std::fs::rename(&away, &path).unwrap();
    organization(&database, "other").await;
    drop(database);
    let again = Database::connect(&url).await.unwrap();
    let mut on = again.read().await.unwrap();
    let found = kapelle_storage::db::organizations::list(&mut on)
        .await
        .unwrap();
    assert_eq!(found.len(), 2);
}

#[tokio::test]
async fn an_sqlite_file_that_was_replaced_is_not_mixed_with_what_was_there() {
    let folder = tempfile::tempdir().unwrap();
    let (path, backup) = (
        folder.path().join("kapelle.db"),
        folder.path().join("backup.db"),
    );
    let database = open(&format!("sqlite:{}", path.display())).await;
    drop(open(&format!("sqlite:{}", backup.display())).await);
    std::fs::rename(&backup, &path).unwrap();
    assert!(matches!(
        database.read().await,
        Err(StorageError::FileMoved { .. })
    ));
    assert!(matches!(
        database.write().await,
        Err(StorageError::FileMoved { .. })
    ));
}
