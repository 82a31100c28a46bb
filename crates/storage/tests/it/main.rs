//! The tests of rows and blobs; every test of a rule runs on both databases.

mod blob_rows;
mod blobs;
mod changes;
mod credentials;
mod database;
mod documents;
mod jobs;
mod migrations;
mod packages;
mod statements;
mod tables;
mod watch;
mod world;
