//! Opening, reading, writing and refusing.

use std::os::unix::fs::PermissionsExt;

use kapelle_storage::db::{facts, organizations, packages};
use kapelle_storage::{Database, Engine, StorageError};
use kapelle_testing::on_both_databases;

use crate::world::{NOW, open, organization};

on_both_databases! {
    async fn what_is_committed_is_there_and_what_is_dropped_is_not(url: String) {
        let db = open(&url).await;
        let mut tx = db.write().await.unwrap();
        facts::set(&mut tx, "kept", "yes").await.unwrap();
        tx.commit().await.unwrap();
        let mut tx = db.write().await.unwrap();
        facts::set(&mut tx, "dropped", "yes").await.unwrap();
        assert_eq!(facts::get(&mut tx, "dropped").await.unwrap().as_deref(), Some("yes"));
        drop(tx);

        let mut on = db.read().await.unwrap();
        assert_eq!(facts::get(&mut on, "kept").await.unwrap().as_deref(), Some("yes"));
        assert_eq!(facts::get(&mut on, "dropped").await.unwrap(), None);
    }

    async fn a_text_with_nul_is_refused_with_a_sentence(url: String) {
        let db = open(&url).await;
        let mut tx = db.write().await.unwrap();
        let error = facts::set(&mut tx, "name", "a\0b").await.unwrap_err();
        assert_eq!(error.to_string(), r#"a text contains a NUL character, which cannot be stored: "a\0b""#);
        let mut on = db.read().await.unwrap();
        assert!(matches!(facts::get(&mut on, "\0").await, Err(StorageError::NulInText { .. })));
    }

    async fn a_taken_slug_is_a_duplicate(url: String) {
        let db = open(&url).await;
        organization(&db, "acme").await;
        let mut tx = db.write().await.unwrap();
        let error = organizations::insert(&mut tx, "acme", "Other", b"", NOW).await.unwrap_err();
        assert!(error.is_duplicate(), "{error}");
    }

    async fn an_update_without_its_row_says_so(url: String) {
        let db = open(&url).await;
        let mut tx = db.write().await.unwrap();
        let error = packages::set_synced(&mut tx, 77, NOW, None).await.unwrap_err();
        assert_eq!(error.to_string(), r#"the table "packages" has no row 77; it may have been deleted meanwhile"#);
    }

    async fn text_bytes_and_null_come_back_as_they_went_in(url: String) {
        let db = open(&url).await;
        let bytes: Vec<u8> = (0..=255).collect();
        let name = "Grüße 🎻 'quoted' \"twice\" \\ %_";
        let mut tx = db.write().await.unwrap();
        let id = organizations::insert(&mut tx, "acme", name, &bytes, i64::MAX).await.unwrap();
        let found = organizations::find_by_id(&mut tx, id).await.unwrap().unwrap();
        assert_eq!((found.name.as_str(), found.hook_secret.0, found.created_at), (name, bytes, i64::MAX));
    }

    async fn it_answers_a_ping_and_says_where_it_is_without_a_password(url: String) {
        let db = open(&url).await;
        db.ping().await.unwrap();
        let clock = db.server_time().await.unwrap();
        assert_eq!(clock.is_some_and(|now| now > NOW), db.engine() == Engine::Postgres);
        let shown = format!("{db} {db:?}");
        assert!(!shown.contains("kapelle@"), "{shown}");
        let scheme = match db.engine() {
            Engine::Sqlite => "sqlite:",
            Engine::Postgres => "postgres://",
        };
        assert!(shown.starts_with(scheme), "{shown}");
        db.close().await;
        assert!(db.ping().await.unwrap_err().to_string().starts_with("no connection to the database"));
    }
}

#[tokio::test]
async fn an_sqlite_file_is_created_for_its_owner_only() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("kapelle.db");
    let db = open(&format!("sqlite://{}", path.display())).await;
    organization(&db, "acme").await;
    for name in ["kapelle.db", "kapelle.db-wal", "kapelle.db-shm"] {
        let mode = std::fs::metadata(folder.path().join(name))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
}

#[tokio::test]
async fn an_sqlite_reader_sees_what_was_committed_while_a_writer_works() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", folder.path().join("kapelle.db").display());
    let (one, other) = (open(&url).await, Database::connect(&url).await.unwrap());
    let mut tx = one.write().await.unwrap();
    facts::set(&mut tx, "a", "1").await.unwrap();
    let mut on = other.read().await.unwrap();
    assert_eq!(facts::get(&mut on, "a").await.unwrap(), None);
    tx.commit().await.unwrap();
    assert_eq!(
        facts::get(&mut on, "a").await.unwrap().as_deref(),
        Some("1")
    );
}

#[tokio::test]
async fn urls_that_cannot_be_used_are_refused_with_a_sentence() {
    let mut sentences = Vec::new();
    for url in [
        "mysql://u:secret@h/d",
        "sqlite:",
        "sqlite::memory:",
        "sqlite:a.db?mode=ro",
        "postgres://u:secret@h:x/d",
    ] {
        sentences.push(Database::connect(url).await.unwrap_err().to_string());
    }
    insta::assert_snapshot!(sentences.join("\n"), @r#"
    the database URL "mysql" cannot be used: its scheme is not known; write sqlite:PATH or postgres://USER:PASSWORD@HOST/DATABASE
    the database URL "sqlite:" cannot be used: it names no file; write sqlite:PATH or postgres://USER:PASSWORD@HOST/DATABASE
    the database URL "sqlite::memory:" cannot be used: a database in memory has one connection, and several are needed; write sqlite:PATH or postgres://USER:PASSWORD@HOST/DATABASE
    the database URL "sqlite:a.db?mode=ro" cannot be used: parameters are not known; write sqlite:PATH or postgres://USER:PASSWORD@HOST/DATABASE
    the database URL "postgres://…" cannot be used: error with configuration: invalid port number; write sqlite:PATH or postgres://USER:PASSWORD@HOST/DATABASE
    "#);
}

#[tokio::test]
async fn a_folder_that_is_not_there_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!(
        "sqlite:{}",
        folder.path().join("absent/kapelle.db").display()
    );
    let error = Database::connect(&url).await.unwrap_err().to_string();
    assert!(
        error.contains("absent/kapelle.db cannot be created"),
        "{error}"
    );
}
