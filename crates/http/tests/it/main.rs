//! The HTTP surfaces against a whole registry, on both databases.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot go on fails with the place"
)]

mod access;
mod api;
mod app;
mod bad_input;
mod caches;
mod composer;
mod faults;
mod fuzz;
mod health;
mod hooks;
mod hot;
mod keeping;
mod lessons;
mod revocations;
