//! What a section of the settings is: one definition gives the struct, its defaults, its manual and its reader.

use super::Settings;
use super::value::Raw;

/// A section as a table, for reading, showing and documenting it.
#[derive(Debug)]
pub(crate) struct Section {
    /// `server`
    pub(crate) name: &'static str,
    /// What it is about, from its doc comment.
    pub(crate) about: &'static str,
    /// Its settings, in the order of their definition.
    pub(crate) fields: &'static [Field],
}

/// One setting.
#[derive(Debug)]
pub(crate) struct Field {
    /// `listen`
    pub(crate) name: &'static str,
    /// The manual, from its doc comment.
    pub(crate) about: &'static str,
    /// What may be written, with an article.
    pub(crate) expects: fn() -> String,
    /// Whether its value is never shown.
    pub(crate) secret: bool,
    /// Reads a value into the settings; the error says what is wrong with it.
    pub(crate) set: fn(&mut Settings, &Raw) -> Result<(), String>,
    /// The value as it may be shown; `null` when it is not set.
    pub(crate) show: fn(&Settings) -> serde_json::Value,
}

/// Defines a section: `name: Struct { field: Type = default, … }`, everything with its doc comment.
macro_rules! section {
    (
        $(#[doc = $about:literal])*
        $section:ident: $name:ident {
            $(
                $(#[doc = $doc:literal])*
                $field:ident: $kind:ty = $default:expr
            ),* $(,)?
        }
    ) => {
        $(#[doc = $about])*
        #[derive(Clone, Debug)]
        pub(crate) struct $name {
            $( $(#[doc = $doc])* pub(crate) $field: $kind, )*
        }

        impl Default for $name {
            fn default() -> Self {
                Self { $( $field: $default, )* }
            }
        }

        /// The section as a table.
        pub(super) const SECTION: $crate::settings::section::Section = $crate::settings::section::Section {
            name: stringify!($section),
            about: concat!($($about, "\n"),*),
            fields: &[ $(
                $crate::settings::section::Field {
                    name: stringify!($field),
                    about: concat!($($doc, "\n"),*),
                    expects: <$kind as $crate::settings::value::Value>::expects,
                    secret: <$kind as $crate::settings::value::Value>::SECRET,
                    set: |settings, raw| {
                        settings.$section.$field = $crate::settings::value::Value::read(raw)?;
                        Ok(())
                    },
                    show: |settings| $crate::settings::value::Value::show(&settings.$section.$field),
                },
            )* ],
        };
    };
}

pub(super) use section;

/// A doc comment as text: one leading space of each line belongs to the comment.
pub(crate) fn text(about: &str) -> String {
    let lines: Vec<&str> = about
        .lines()
        .map(|line| line.strip_prefix(' ').unwrap_or(line))
        .collect();
    lines.join("\n").trim().to_owned()
}
