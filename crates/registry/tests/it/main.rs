//! The domain against real git repositories, on both databases.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod jobs;
mod package;
mod sync;
mod world;
