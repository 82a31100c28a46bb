//! Migrations run once, whoever starts at the same time, and never on a schema that is not theirs.

use std::collections::BTreeSet;
use std::path::Path;

use kapelle_storage::{Database, StorageError};
use kapelle_testing::on_both_databases;
use sqlx::{AssertSqlSafe, Connection, PgConnection, SqliteConnection};

use crate::world::{NOW, open};

on_both_databases! {
    async fn many_processes_may_migrate_at_once(url: String) {
        let starts = (0..6).map(|_| {
            let url = url.clone();
            tokio::spawn(async move { Database::connect(&url).await.unwrap().migrate(NOW).await.unwrap() })
        });
        let ran: Vec<usize> = futures::future::join_all(starts).await.into_iter().map(Result::unwrap).collect();
        assert_eq!(ran.iter().filter(|ran| **ran > 0).count(), 1, "{ran:?}");
        assert_eq!(open(&url).await.migrate(NOW).await.unwrap(), 0);
    }

    async fn a_newer_database_is_refused(url: String) {
        let db = open(&url).await;
        run(&url, "INSERT INTO migrations (number, name, sha256, applied_at) VALUES (9999, 'future', '', 0)").await;
        let error = db.migrate(NOW).await.unwrap_err();
        assert!(matches!(error, StorageError::MigrationUnknown { number: 9999, .. }), "{error}");
        assert_eq!(
            error.to_string(),
            "the database has the migration 9999_future, which this version does not know; \
             start a newer Kapelle or restore a backup"
        );
    }

    async fn an_edited_migration_is_refused(url: String) {
        let db = open(&url).await;
        run(&url, "UPDATE migrations SET sha256 = 'other' WHERE number = 1").await;
        let error = db.migrate(NOW).await.unwrap_err();
        assert_eq!(
            error.to_string(),
            "the migration 0001_core differs from the one this database was made with; \
             use the program that made it, or restore a backup"
        );
    }
}

#[test]
fn both_databases_have_the_same_migrations_and_every_file_is_embedded() {
    let sqlite = files("sqlite");
    assert_eq!(sqlite, files("postgres"));
    let source = include_str!("../../src/migrate.rs");
    for file in sqlite {
        assert!(
            source.contains(&format!("\"{file}\"")),
            "{file} is not in migrate.rs"
        );
    }
}

fn files(engine: &str) -> BTreeSet<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("migrations")
        .join(engine);
    let names = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.collect()
}

/// Runs a statement beside the crate.
async fn run(url: &str, sql: &str) {
    if url.starts_with("sqlite:") {
        let mut connection = SqliteConnection::connect(url).await.unwrap();
        sqlx::raw_sql(AssertSqlSafe(sql))
            .execute(&mut connection)
            .await
            .unwrap();
    } else {
        let mut connection = PgConnection::connect(url).await.unwrap();
        sqlx::raw_sql(AssertSqlSafe(sql))
            .execute(&mut connection)
            .await
            .unwrap();
    }
}
