//! The guarded client against servers on the loopback address.
#![expect(
    clippy::unwrap_used,
    reason = "a test whose world cannot be built fails"
)]

mod addresses;
mod budget;
mod guard;
mod limits;
mod redirects;
mod retries;
mod world;
