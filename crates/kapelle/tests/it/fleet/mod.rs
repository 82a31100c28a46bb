//! Several servers and workers on one database, while one of them is killed, stopped or told nothing.

mod pushed_over;
mod revoked;
mod takeover;
pub(crate) mod world;
