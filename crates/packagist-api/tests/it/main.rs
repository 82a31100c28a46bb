//! The public surface against what the official client and PHP do.

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod authorization;
mod query;
mod signing;
