//! The domain against real git repositories, on both databases.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod api_key;
mod bad_input;
mod cache;
mod clock;
mod collector;
mod credentials;
mod depots;
mod disk;
mod edit;
mod jobs;
mod keeping;
mod keys;
mod mirror;
mod package;
mod purge;
mod statistics;
mod steps;
mod sync;
mod trust;
mod upstream;
mod verify;
mod world;
