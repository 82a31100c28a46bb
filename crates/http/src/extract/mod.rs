//! What handlers are given: who asks, for which organization, and what was sent, parsed and bounded.

mod authenticated;
mod body;
mod credentials;
mod organization;
mod parameters;
mod seen;
mod segments;

pub(crate) use authenticated::{Authenticated, authenticate};
pub(crate) use body::RawBody;
pub(crate) use credentials::{Shown, shown, shown_in};
pub(crate) use organization::Organization;
pub(crate) use parameters::Parameters;
pub(crate) use seen::Seen;
pub(crate) use segments::{Segments, plain};
