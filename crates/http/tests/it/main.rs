//! The HTTP surfaces against a whole registry, on both databases.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot go on fails with the place"
)]

mod access;
mod app;
mod bad_input;
mod composer;
mod health;
mod hooks;
mod keeping;
