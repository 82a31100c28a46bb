//! The management API, as the official client asks it.

mod authentication;
mod jobs;
mod packages;
mod signed;
