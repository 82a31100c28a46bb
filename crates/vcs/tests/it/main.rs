//! Real git against real servers, on loopback and in temporary folders.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot go on fails with the place"
)]

mod archive;
mod daemon;
mod fuzz;
mod hostile;
mod hostile_trees;
mod http;
mod https;
mod local;
mod mirror;
mod read;
mod refs;
mod rescue;
mod secrets;
mod snapshot;
mod ssh;
mod sweep;
mod url;
mod world;
