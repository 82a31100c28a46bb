//! The domain: what may happen in a Composer registry and what follows from it.
//!
//! A function here takes the [`Registry`], the [`Actor`] and typed input, asks [`access`] first, and changes
//! everything in one transaction: rows, documents, the change sequence, the audit row and the jobs that follow.

pub mod access;
pub mod actor;
pub mod api_key;
pub mod artifact;
pub mod audit;
pub mod blob;
pub mod clock;
pub mod credential;
mod depot;
pub mod disk;
pub mod dist;
pub mod document;
pub mod feed;
pub mod flights;
pub mod hook;
pub mod host_key;
pub mod import;
pub mod installation;
pub mod jobs;
pub mod keys;
pub mod limits;
pub mod mirrored_repository;
mod nonces;
pub mod organization;
pub mod package;
pub mod random;
pub mod search;
pub mod secrets;
pub mod statistics;
pub mod sync;
pub mod token;
pub mod verify;

mod registry;

pub use actor::Actor;
pub use clock::Clock;
pub use disk::Disk;
pub use limits::Limits;
pub use random::Random;
pub use registry::{Parts, Registry};
