//! One SQL statement in the one or two dialects it needs.

/// A statement with `$1` placeholders, written by [`sql!`](crate::statement::sql).
#[derive(Debug, Clone, Copy)]
pub(crate) struct Statement {
    /// The text for SQLite.
    pub(crate) sqlite: &'static str,
    /// The text for PostgreSQL.
    pub(crate) postgres: &'static str,
}

/// Marks an SQL text: `sql!("…")` for both databases, or `sql!(sqlite: "…", postgres: "…")` where they truly differ.
///
/// A test finds every text by this marker and prepares it on both databases.
macro_rules! sql {
    ($both:literal) => {
        $crate::statement::Statement {
            sqlite: $both,
            postgres: $both,
        }
    };
    (sqlite: $sqlite:literal, postgres: $postgres:literal $(,)?) => {
        $crate::statement::Statement {
            sqlite: $sqlite,
            postgres: $postgres,
        }
    };
}
pub(crate) use sql;
