//! Many rows for one statement: one JSON text, which the database takes apart again.
//!
//! A statement for each row costs a change of threads on SQLite and a round trip on PostgreSQL. With `$1` the text,
//! `jsonb_each($1)` on SQLite and `jsonb_array_elements(CAST($1 AS JSONB))` on PostgreSQL give a line with the column
//! `value` for each row, in their order, and `value ->> 0` is its first value.

use crate::Result;
use crate::value::{Value, storable};

/// Rows in the order in which they are pushed; all have the same columns.
#[derive(Default)]
pub(crate) struct Rows(Vec<u8>);

impl Rows {
    /// Adds a row. Bytes become hexadecimal digits.
    pub(crate) fn push(&mut self, row: &[Value<'_>]) -> Result<()> {
        self.0.push(if self.0.is_empty() { b'[' } else { b',' });
        for (at, value) in row.iter().enumerate() {
            self.0.push(if at == 0 { b'[' } else { b',' });
            match *value {
                Value::Int(value) => self.add(&value),
                Value::Text(value) => self.add(&value.map(storable).transpose()?),
                Value::Bytes(value) => self.add(&value.map(hex::encode)),
                Value::Bool(value) => self.add(&value),
            }
        }
        self.0.push(b']');
        Ok(())
    }

    /// The text for the statement; `None` without rows, when there is nothing to do.
    pub(crate) fn json(mut self) -> Option<String> {
        if self.0.is_empty() {
            return None;
        }
        self.0.push(b']');
        Some(String::from_utf8(self.0).expect("JSON is made of texts"))
    }

    fn add(&mut self, value: &impl serde::Serialize) {
        serde_json::to_writer(&mut self.0, value).expect("numbers and texts are always encodable");
    }
}
