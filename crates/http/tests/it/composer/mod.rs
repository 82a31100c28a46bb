//! The Composer repository, address by address.

mod changes;
mod dists;
mod downloads;
mod finding;
mod metadata;
