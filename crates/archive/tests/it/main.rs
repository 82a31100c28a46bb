//! Dists that are written and archives that are read, honest and hostile.
#![expect(
    clippy::unwrap_used,
    reason = "a test whose world cannot be built fails"
)]

mod dist;
mod dist_tools;
mod fuzz;
mod hostile_tar;
mod hostile_zip;
mod root_file;
mod round_trip;
mod world;
