//! Many rows as one JSON text.
//!
//! *For one statement*, which takes it apart again: a statement for each row costs a change of threads on SQLite and a round
//! trip on PostgreSQL. With `$1` such a text, `jsonb_each($1)` on SQLite and `jsonb_array_elements(CAST($1 AS JSONB))` on
//! PostgreSQL give a line with the column `value` for each row, in their order, and `value ->> 0` is its first value.
//!
//! *From one row* of SQLite, which hands over each row from another thread and wakes ours for it: see [`fetch_packed`].

use serde::de::DeserializeOwned;

use crate::handle::{Handle, Session, fetch_all};
use crate::row::{FromRow, Row};
use crate::statement::Statement;
use crate::value::{Value, storable};
use crate::{Result, StorageError};

/// Bytes after which another text begins: a driver and its database have several copies of one at a time.
const TEXT: usize = 1 << 20;

/// Rows in the order in which they are pushed; all have the same columns.
#[derive(Default)]
pub(crate) struct Rows {
    full: Vec<Vec<u8>>,
    text: Vec<u8>,
}

impl Rows {
    /// Adds a row. Bytes become hexadecimal digits.
    pub(crate) fn push(&mut self, row: &[Value<'_>]) -> Result<()> {
        if self.text.len() > TEXT {
            self.full.push(std::mem::take(&mut self.text));
        }
        let text = &mut self.text;
        text.push(if text.is_empty() { b'[' } else { b',' });
        for (at, value) in row.iter().enumerate() {
            text.push(if at == 0 { b'[' } else { b',' });
            match *value {
                Value::Int(value) => add(text, &value),
                Value::Text(value) => add(text, &value.map(storable).transpose()?),
                Value::Bytes(value) => add(text, &value.map(hex::encode)),
                Value::Bool(value) => add(text, &value),
            }
        }
        text.push(b']');
        Ok(())
    }

    /// The texts, for one statement each: as a rule there is one, and none without rows.
    pub(crate) fn texts(self) -> impl Iterator<Item = String> {
        let last = Some(self.text).filter(|text| !text.is_empty());
        self.full.into_iter().chain(last).map(|mut text| {
            text.push(b']');
            String::from_utf8(text).expect("JSON is made of texts")
        })
    }
}

fn add(text: &mut Vec<u8>, value: &impl serde::Serialize) {
    serde_json::to_writer(text, value).expect("numbers and texts are always encodable");
}

/// Reads many rows. On SQLite the statement packs them into few: each has one column `value`, an array of arrays
/// (`json_group_array(json_array(…))`) with the values in the order of `T`'s fields. On PostgreSQL it gives them as they are.
pub(crate) async fn fetch_packed<T: FromRow + DeserializeOwned + Send>(
    on: &mut impl Handle,
    sql: Statement,
    values: &[Value<'_>],
) -> Result<Vec<T>> {
    if let Session::Postgres(..) = on.session() {
        return fetch_all(on, sql, values).await;
    }
    let packs: Vec<Pack<T>> = fetch_all(on, sql, values).await?;
    Ok(packs.into_iter().flat_map(|Pack(rows)| rows).collect())
}

/// What one row holds, taken apart as it comes: the texts of all would take as much memory again.
struct Pack<T>(Vec<T>);

impl<T: DeserializeOwned> FromRow for Pack<T> {
    fn from_row(row: &Row) -> Result<Self> {
        let column = "value";
        let rows = serde_json::from_str(&row.get::<String>(column)?);
        rows.map(Self).map_err(|error| StorageError::Column {
            column,
            source: sqlx::Error::Decode(error.into()),
        })
    }
}
