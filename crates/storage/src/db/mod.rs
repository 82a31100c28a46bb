//! One module per table: its rows and its queries.
//!
//! Reading functions take any [`Handle`](crate::Handle), writing ones a [`Transaction`](crate::Transaction). Times are
//! milliseconds since 1970 from the caller's clock unless said otherwise.

pub mod changes;
pub mod documents;
pub mod jobs;
pub mod organizations;
pub mod packages;
pub mod tokens;
pub mod versions;

use crate::row::columns;

/// An answer of one number, in the column `value`.
struct Number {
    value: i64,
}
columns!(Number: value);

/// An answer of one text, in the column `value`.
struct Text {
    value: String,
}
columns!(Text: value);

/// An encrypted secret and the key of its row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredSecret {
    /// The row.
    pub id: i64,
    /// The secret, encrypted.
    pub secret: crate::Hidden,
}
columns!(StoredSecret: id, secret: crate::Hidden);
