//! Rows and blobs: the only crate that knows sqlx and `object_store`.
//!
//! A [`Database`] is SQLite or PostgreSQL, chosen by its URL. [`db`] has one module per table with its rows and
//! query functions; [`blobs`] keeps content-addressed files in a folder, in S3 or in memory.

pub mod blobs;
mod database;
pub mod db;
mod error;
mod gate;
mod handle;
mod hidden;
mod migrate;
mod postgres;
mod row;
mod rows;
mod sqlite;
mod statement;
mod value;
mod watch;

pub use database::{Database, Engine};
pub use error::{Result, StorageError};
pub use handle::{Connection, Handle, Transaction};
pub use hidden::Hidden;
pub use watch::Watcher;
