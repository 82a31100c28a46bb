//! Runs the embedded migrations, once each and in order, in one transaction.

use sha2::{Digest, Sha256};

use crate::database::Engine;
use crate::handle::{self, HasSession, Session, Transaction};
use crate::row::columns;
use crate::statement::sql;
use crate::value::values;
use crate::{Result, StorageError};

/// One migration in both dialects.
pub(crate) struct Migration {
    number: i64,
    name: &'static str,
    sqlite: &'static str,
    postgres: &'static str,
}

macro_rules! migration {
    ($number:literal, $name:literal, $file:literal) => {
        Migration {
            number: $number,
            name: $name,
            sqlite: include_str!(concat!("../migrations/sqlite/", $file)),
            postgres: include_str!(concat!("../migrations/postgres/", $file)),
        }
    };
}

/// Every migration, oldest first. A published one is never edited; a change is a new one.
pub(crate) const ALL: &[Migration] = &[
    migration!(1, "core", "0001_core.sql"),
    migration!(2, "growth", "0002_growth.sql"),
    migration!(3, "depots", "0003_depots.sql"),
    migration!(4, "seals", "0004_seals.sql"),
    migration!(5, "at_a_glance", "0005_at_a_glance.sql"),
    migration!(6, "api_nonces", "0006_api_nonces.sql"),
    migration!(7, "losses", "0007_losses.sql"),
    migration!(8, "package_kinds", "0008_package_kinds.sql"),
];

struct Applied {
    number: i64,
    name: String,
    sha256: String,
}
columns!(Applied: number, name, sha256);

/// Runs what is missing and commits; refuses a database that has unknown or other migrations.
pub(crate) async fn run(mut tx: Transaction, all: &[Migration], now: i64) -> Result<usize> {
    lock(&mut tx).await?;
    let applied = applied(&mut tx).await?;
    check(&applied, all, tx.engine())?;
    let missing = &all[applied.len()..];
    for migration in missing {
        apply(&mut tx, migration, now).await?;
    }
    tx.commit().await?;
    Ok(missing.len())
}

/// Lets one process in at a time. SQLite's immediate transaction is already that.
async fn lock(tx: &mut Transaction) -> Result<()> {
    if tx.engine() == Engine::Postgres {
        tx.wait_for_ever();
        let patience = sql!(sqlite: "SELECT 0", postgres: "SET LOCAL statement_timeout = 0");
        handle::execute(tx, patience, values![]).await?;
        let patience = sql!(sqlite: "SELECT 0", postgres: "SET LOCAL lock_timeout = 0");
        handle::execute(tx, patience, values![]).await?;
        let lock = sql!(sqlite: "SELECT 0", postgres: "SELECT pg_advisory_xact_lock(5713024001)");
        handle::execute(tx, lock, values![]).await?;
    }
    Ok(())
}

async fn applied(tx: &mut Transaction) -> Result<Vec<Applied>> {
    let table = sql!(
        "CREATE TABLE IF NOT EXISTS migrations (
            number BIGINT PRIMARY KEY, name TEXT NOT NULL, sha256 TEXT NOT NULL, applied_at BIGINT NOT NULL
        )"
    );
    handle::execute(tx, table, values![]).await?;
    let all = sql!("SELECT number, name, sha256 FROM migrations ORDER BY number");
    handle::fetch_all(tx, all, values![]).await
}

fn check(applied: &[Applied], all: &[Migration], engine: Engine) -> Result<()> {
    for (position, row) in applied.iter().enumerate() {
        let (number, name) = (row.number, row.name.clone());
        match all.get(position) {
            Some(known)
                if known.number != number
                    || known.name != name
                    || sha256(known, engine) != row.sha256 =>
            {
                return Err(StorageError::MigrationEdited { number, name });
            }
            Some(_) => {}
            None => return Err(StorageError::MigrationUnknown { number, name }),
        }
    }
    Ok(())
}

async fn apply(tx: &mut Transaction, migration: &Migration, now: i64) -> Result<()> {
    let done = match tx.session() {
        Session::Sqlite(connection) => sqlx::raw_sql(migration.sqlite)
            .execute(connection)
            .await
            .map(|_| ()),
        Session::Postgres(connection, _) => sqlx::raw_sql(migration.postgres)
            .execute(connection)
            .await
            .map(|_| ()),
    };
    let Migration { number, name, .. } = *migration;
    done.map_err(|source| StorageError::MigrationFailed {
        number,
        name,
        source,
    })?;
    let note =
        sql!("INSERT INTO migrations (number, name, sha256, applied_at) VALUES ($1, $2, $3, $4)");
    let sha256 = sha256(migration, tx.engine());
    handle::execute(tx, note, values![number, name, &sha256, now]).await?;
    Ok(())
}

fn sha256(migration: &Migration, engine: Engine) -> String {
    let text = match engine {
        Engine::Sqlite => migration.sqlite,
        Engine::Postgres => migration.postgres,
    };
    hex::encode(Sha256::digest(text))
}
