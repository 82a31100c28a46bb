//! The program as operators and scripts use it.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot go on fails with the place"
)]

mod commands;
mod connections;
mod databases;
mod demo;
mod doctor;
mod e2e;
mod faults;
mod fleet;
mod folder;
mod jobs;
mod kills;
mod packages;
mod processes;
mod settings;
mod signed;
mod trust;
mod usage;
mod verify;
mod world;
