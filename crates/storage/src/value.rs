//! Values that go into a statement.

use sqlx::{Arguments, Database, Encode, Type};

use crate::{Result, StorageError};

/// One value for a placeholder. `None` is NULL of that type, which PostgreSQL needs to know.
#[derive(Clone, Copy)]
pub(crate) enum Value<'v> {
    Int(Option<i64>),
    Text(Option<&'v str>),
    Bytes(Option<&'v [u8]>),
    Bool(Option<bool>),
}

/// The values of a statement in the order of its placeholders: `values![id, name]`.
macro_rules! values {
    ($($value:expr),* $(,)?) => { &[$($crate::value::Value::from($value)),*] };
}
pub(crate) use values;

macro_rules! value_from {
    ($($source:ty => $variant:ident $convert:expr;)*) => {$(
        impl<'v> From<$source> for Value<'v> {
            fn from(value: $source) -> Self {
                let convert: fn($source) -> _ = $convert;
                Self::$variant(convert(value))
            }
        }
    )*};
}
value_from! {
    i64 => Int |value| Some(value);
    Option<i64> => Int |value| value;
    &'v str => Text |value| Some(value);
    &'v String => Text |value| Some(value.as_str());
    Option<&'v str> => Text |value| value;
    &'v [u8] => Bytes |value| Some(value);
    &'v Vec<u8> => Bytes |value| Some(value.as_slice());
    Option<&'v [u8]> => Bytes |value| value;
    bool => Bool |value| Some(value);
}

/// The only place where NUL in text is refused: PostgreSQL cannot store it, SQLite would.
pub(crate) fn storable(text: &str) -> Result<&str> {
    if text.contains('\0') {
        let text = text.chars().take(60).collect();
        return Err(StorageError::NulInText { text });
    }
    Ok(text)
}

/// The values in a database's form; `sql` is for the error.
pub(crate) fn arguments<D: Database>(
    sql: &'static str,
    values: &[Value<'_>],
) -> Result<D::Arguments>
where
    for<'v> Option<i64>: Encode<'v, D> + Type<D>,
    for<'v> Option<&'v str>: Encode<'v, D> + Type<D>,
    for<'v> Option<&'v [u8]>: Encode<'v, D> + Type<D>,
    for<'v> Option<bool>: Encode<'v, D> + Type<D>,
{
    let mut arguments = D::Arguments::default();
    for value in values {
        match *value {
            Value::Int(value) => arguments.add(value),
            Value::Text(value) => arguments.add(value.map(storable).transpose()?),
            Value::Bytes(value) => arguments.add(value),
            Value::Bool(value) => arguments.add(value),
        }
        .map_err(|error| StorageError::query(sql, sqlx::Error::Encode(error)))?;
    }
    Ok(arguments)
}
