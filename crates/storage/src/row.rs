//! A row as the database gave it, read by column name.

use sqlx::postgres::PgRow;
use sqlx::sqlite::SqliteRow;
use sqlx::{Decode, Postgres, Row as _, Sqlite, Type};

use crate::{Result, StorageError};

/// One row of an answer.
pub(crate) enum Row {
    Sqlite(SqliteRow),
    Postgres(PgRow),
}

/// What a column can be read as: `i64`, `String`, `Vec<u8>`, `bool`, and an `Option` of each.
pub(crate) trait Column:
    for<'r> Decode<'r, Sqlite> + Type<Sqlite> + for<'r> Decode<'r, Postgres> + Type<Postgres>
{
}

impl<T> Column for T where
    T: for<'r> Decode<'r, Sqlite> + Type<Sqlite> + for<'r> Decode<'r, Postgres> + Type<Postgres>
{
}

impl Row {
    /// The value of a column; the error names the column.
    pub(crate) fn get<T: Column>(&self, column: &'static str) -> Result<T> {
        match self {
            Self::Sqlite(row) => row.try_get(column),
            Self::Postgres(row) => row.try_get(column),
        }
        .map_err(|source| StorageError::Column { column, source })
    }
}

/// A struct that one row fills.
pub(crate) trait FromRow: Sized {
    /// Reads the columns by name.
    fn from_row(row: &Row) -> Result<Self>;
}

/// Implements [`FromRow`] for a struct whose fields are columns: `columns!(User: id, email, created_at)`;
/// `field = "column"` for another column name, `field: Wrapper` for a wrapped one.
macro_rules! columns {
    ($row:ty: $($field:ident $(= $column:literal)? $(: $wrapper:path)?),* $(,)?) => {
        impl $crate::row::FromRow for $row {
            fn from_row(row: &$crate::row::Row) -> $crate::Result<Self> {
                Ok(Self {
                    $($field: $crate::row::columns!(@read row, $field $(= $column)? $(: $wrapper)?)),*
                })
            }
        }
    };
    (@read $row:ident, $field:ident) => { $row.get(stringify!($field))? };
    (@read $row:ident, $field:ident = $column:literal) => { $row.get($column)? };
    (@read $row:ident, $field:ident : $wrapper:path) => { $wrapper($row.get(stringify!($field))?) };
}
pub(crate) use columns;

#[cfg(test)]
mod tests {
    use crate::handle::fetch_all;
    use crate::statement::sql;
    use crate::value::values;
    use crate::{Database, Result};

    #[derive(Debug)]
    struct Odd {
        #[expect(dead_code, reason = "reading it fails")]
        number: i64,
    }
    columns!(Odd: number);

    #[tokio::test]
    async fn a_column_that_cannot_be_read_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", folder.path().join("kapelle.db").display());
        let mut on = Database::connect(&url).await.unwrap().read().await.unwrap();
        let read: Result<Vec<Odd>> =
            fetch_all(&mut on, sql!("SELECT 'four' AS number"), values![]).await;
        let error = read.unwrap_err().to_string();
        assert!(
            error.starts_with(r#"the database column "number" cannot be read: "#),
            "{error}"
        );
    }
}
