//! The Composer repository of an organization, under `/repo/{org}/`: one file per kind of address.

pub(crate) mod changes;
pub(crate) mod dists;
pub(crate) mod document;
pub(crate) mod downloads;
mod encoding;
pub(crate) mod index;
mod not_modified;
pub(crate) mod p2;
pub(crate) mod packages;
pub(crate) mod providers;
mod range;
pub(crate) mod root;
pub(crate) mod search;
pub(crate) mod security_advisories;
