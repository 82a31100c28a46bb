//! One module per table: its rows and its queries.
//!
//! Reading functions take any [`Handle`](crate::Handle), writing ones a [`Transaction`](crate::Transaction). Times are
//! milliseconds since 1970 from the caller's clock unless said otherwise.

pub mod api_keys;
pub mod api_nonces;
pub mod artifacts;
pub mod audit;
pub mod blobs;
pub mod changes;
pub mod credentials;
pub mod definitions;
pub mod depots;
pub mod dists;
pub mod documents;
pub mod facts;
pub mod install_statistics;
pub mod job_log;
pub mod jobs;
pub mod linked_names;
pub mod mirrored_repositories;
pub mod nodes;
pub mod organizations;
pub mod package_references;
pub mod package_refs;
pub mod packages;
pub mod schedules;
pub mod security_monitoring;
pub mod ssh_host_keys;
pub mod teams;
pub mod tokens;
pub mod users;
pub mod versions;

use crate::row::columns;

/// An answer of one number, in the column `value`.
struct Number {
    value: i64,
}
columns!(Number: value);

/// An answer of one truth, in the column `value`.
struct Flag {
    value: bool,
}
columns!(Flag: value);

/// An answer of one text, in the column `value`.
struct Text {
    value: String,
}
columns!(Text: value);
