//! The management API, as the official client asks it.

mod archives;
mod artifacts;
mod authentication;
mod bad_input;
mod contract;
mod credentials;
mod custom;
mod jobs;
mod later;
mod packages;
mod repositories;
mod signed;
