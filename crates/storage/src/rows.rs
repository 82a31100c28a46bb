//! Many rows for one statement: a JSON text, which the database takes apart again.
//!
//! A statement for each row costs a change of threads on SQLite and a round trip on PostgreSQL. With `$1` such a text,
//! `jsonb_each($1)` on SQLite and `jsonb_array_elements(CAST($1 AS JSONB))` on PostgreSQL give a line with the column
//! `value` for each row, in their order, and `value ->> 0` is its first value.

use crate::Result;
use crate::value::{Value, storable};

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
