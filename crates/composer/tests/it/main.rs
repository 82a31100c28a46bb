//! The integration tests of the Composer format.

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod constraint;
mod exclude;
mod fuzz;
mod lock;
mod manifest;
mod metadata;
mod minify;
mod name;
mod oracle;
mod vcs;
mod version;
