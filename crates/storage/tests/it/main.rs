//! The tests of rows and blobs; every test of a rule runs on both databases.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod blob_rows;
mod blobs;
mod changes;
mod credentials;
mod database;
mod documents;
mod jobs;
mod migrations;
mod outages;
mod packages;
mod plans;
mod statements;
mod tables;
mod unfinished_blobs;
mod watch;
mod world;
