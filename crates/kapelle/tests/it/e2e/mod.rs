//! The real binary and real Composer: what an operator and a PHP developer do, from the first package to the last.

mod access;
mod archives;
mod branches;
mod broken_refs;
mod broken_repositories;
mod discover;
mod dists;
mod history;
mod hooks;
mod import;
mod install;
mod library;
mod limits;
mod organization;
mod refused_urls;
mod removal;
mod statistics;
mod transport;
mod workers;
mod world;
