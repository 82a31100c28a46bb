//! How values of settings are written and shown.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;
use kapelle_registry::disk::Reserve;
use kapelle_vcs::{Protocol, Protocols};
use secrecy::SecretString;
use serde_json::{Value as Json, json};
use url::Url;

use super::quantity;

/// A value as it arrives.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Raw {
    /// From the environment or a flag: text, whatever type is wanted; lists are separated by commas.
    Plain(String),
    /// A string of the file.
    Text(String),
    /// A number of the file.
    Integer(i64),
    /// `true` or `false` of the file.
    Boolean(bool),
    /// A list of the file.
    List(Vec<Raw>),
    /// Something of the file that no setting takes, with its article: "a date".
    Other(&'static str),
}

impl Raw {
    /// As an error message repeats it.
    fn described(&self) -> String {
        match self {
            Self::Plain(text) | Self::Text(text) => format!("{text:?}"),
            Self::Integer(number) => number.to_string(),
            Self::Boolean(flag) => flag.to_string(),
            Self::List(_) => "a list".to_owned(),
            Self::Other(kind) => (*kind).to_owned(),
        }
    }
}

/// A type that a setting can have.
pub(crate) trait Value: Sized {
    /// Whether values are never shown.
    const SECRET: bool = false;

    /// What may be written, with an article: "a number".
    fn expects() -> String;

    /// From text; `None` when it is not what is expected.
    fn parse(text: &str) -> Option<Self>;

    /// As it is shown and could be written.
    fn show(&self) -> Json;

    /// From what arrived; the error says what is wrong.
    fn read(raw: &Raw) -> Result<Self, String> {
        let parsed = match raw {
            Raw::Plain(text) | Raw::Text(text) => Self::parse(text),
            _ => None,
        };
        parsed.ok_or_else(|| Self::refusal(raw))
    }

    /// "… is not …"
    fn refusal(raw: &Raw) -> String {
        if Self::SECRET {
            format!("the value is not {}", Self::expects())
        } else {
            format!("{} is not {}", raw.described(), Self::expects())
        }
    }
}

impl<T: Value> Value for Option<T> {
    const SECRET: bool = T::SECRET;

    fn expects() -> String {
        T::expects()
    }

    fn parse(text: &str) -> Option<Self> {
        T::parse(text).map(Some)
    }

    fn show(&self) -> Json {
        self.as_ref().map_or(Json::Null, Value::show)
    }

    /// An empty environment variable takes a value of the file back.
    fn read(raw: &Raw) -> Result<Self, String> {
        match raw {
            Raw::Plain(text) if text.is_empty() => Ok(None),
            _ => T::read(raw).map(Some),
        }
    }
}

impl<T: Value> Value for Vec<T> {
    const SECRET: bool = T::SECRET;

    fn expects() -> String {
        format!("a list, each item {}", T::expects())
    }

    fn parse(text: &str) -> Option<Self> {
        Self::read(&Raw::Plain(text.to_owned())).ok()
    }

    fn show(&self) -> Json {
        self.iter().map(Value::show).collect()
    }

    fn read(raw: &Raw) -> Result<Self, String> {
        match raw {
            Raw::List(items) => items.iter().map(T::read).collect(),
            Raw::Plain(text) => text
                .split(',')
                .map(str::trim)
                .filter(|item| !item.is_empty())
                .map(|item| T::read(&Raw::Plain(item.to_owned())))
                .collect(),
            _ => Err(Self::refusal(raw)),
        }
    }
}

impl Value for bool {
    fn expects() -> String {
        "true or false".to_owned()
    }

    fn parse(text: &str) -> Option<Self> {
        text.parse().ok()
    }

    fn show(&self) -> Json {
        json!(self)
    }

    fn read(raw: &Raw) -> Result<Self, String> {
        match raw {
            Raw::Boolean(flag) => Ok(*flag),
            Raw::Plain(text) => Self::parse(text).ok_or_else(|| Self::refusal(raw)),
            _ => Err(Self::refusal(raw)),
        }
    }
}

impl Value for usize {
    fn expects() -> String {
        "a whole number from 1".to_owned()
    }

    fn parse(text: &str) -> Option<Self> {
        text.parse().ok().filter(|number| *number > 0)
    }

    fn show(&self) -> Json {
        json!(self)
    }

    fn read(raw: &Raw) -> Result<Self, String> {
        let number = match raw {
            Raw::Integer(number) => Self::try_from(*number).ok().filter(|number| *number > 0),
            Raw::Plain(text) => Self::parse(text),
            _ => None,
        };
        number.ok_or_else(|| Self::refusal(raw))
    }
}

/// A type that is only ever written as text.
macro_rules! from_text {
    ($kind:ty, $expects:literal, $parse:expr, $show:expr) => {
        impl Value for $kind {
            fn expects() -> String {
                $expects.to_owned()
            }

            fn parse(text: &str) -> Option<Self> {
                let parse: fn(&str) -> Option<Self> = $parse;
                parse(text)
            }

            fn show(&self) -> Json {
                let show: fn(&Self) -> String = $show;
                Json::String(show(self))
            }
        }
    };
}

pub(super) fn not_empty(text: &str) -> Option<String> {
    (!text.is_empty() && !text.chars().any(char::is_control)).then(|| text.to_owned())
}

from_text!(String, "a text", not_empty, Clone::clone);
from_text!(
    PathBuf,
    "a path",
    |text| not_empty(text).map(Into::into),
    |path| path.display().to_string()
);
from_text!(
    SocketAddr,
    "an address with a port, such as 127.0.0.1:8080",
    |text| text.parse().ok(),
    ToString::to_string
);
from_text!(
    Duration,
    "a time, such as 30s, 10m or 12h",
    quantity::parse_duration,
    |time| quantity::show_duration(*time)
);
from_text!(
    Url,
    "an http or https URL without user, query and fragment, such as https://packages.example.com/",
    parse_http_url,
    ToString::to_string
);

impl Value for IpNet {
    fn expects() -> String {
        "an address range, such as 10.0.0.0/8".to_owned()
    }

    fn parse(text: &str) -> Option<Self> {
        text.parse()
            .ok()
            .or_else(|| text.parse::<IpAddr>().ok().map(Into::into))
    }

    fn show(&self) -> Json {
        json!(self.to_string())
    }
}

impl Value for Protocols {
    fn expects() -> String {
        "a list of https, ssh, http, git and file".to_owned()
    }

    fn parse(text: &str) -> Option<Self> {
        Self::read(&Raw::Plain(text.to_owned())).ok()
    }

    fn show(&self) -> Json {
        self.iter().map(Protocol::name).collect()
    }

    fn read(raw: &Raw) -> Result<Self, String> {
        let protocols = Vec::<Protocol>::read(raw)?;
        if protocols.is_empty() {
            return Err(format!("no protocol is left: write {}", Self::expects()));
        }
        Ok(protocols.into_iter().collect())
    }
}

from_text!(
    Protocol,
    "one of https, ssh, http, git and file",
    |text| text.parse().ok(),
    ToString::to_string
);

/// A number of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Size(pub(crate) u64);

impl Value for Size {
    fn expects() -> String {
        "a size, such as 512 MiB".to_owned()
    }

    fn parse(text: &str) -> Option<Self> {
        quantity::parse_size(text).map(Self)
    }

    fn show(&self) -> Json {
        json!(quantity::show_size(self.0))
    }

    fn read(raw: &Raw) -> Result<Self, String> {
        let size = match raw {
            Raw::Integer(number) => u64::try_from(*number)
                .ok()
                .filter(|bytes| *bytes > 0)
                .map(Self),
            Raw::Plain(text) | Raw::Text(text) => Self::parse(text),
            _ => None,
        };
        size.ok_or_else(|| Self::refusal(raw))
    }
}

impl Value for Reserve {
    fn expects() -> String {
        "a part or a size, such as 5% or 2 GiB".to_owned()
    }

    fn parse(text: &str) -> Option<Self> {
        let Some(percent) = text.strip_suffix('%') else {
            return quantity::parse_size(text).map(Self::Bytes);
        };
        let percent = percent.trim_end().parse().ok()?;
        (percent < 100).then_some(Self::Percent(percent))
    }

    fn show(&self) -> Json {
        match self {
            Self::Percent(percent) => json!(format!("{percent}%")),
            Self::Bytes(bytes) => json!(quantity::show_size(*bytes)),
        }
    }
}

impl Value for SecretString {
    const SECRET: bool = true;

    fn expects() -> String {
        "a text".to_owned()
    }

    fn parse(text: &str) -> Option<Self> {
        not_empty(text).map(Into::into)
    }

    fn show(&self) -> Json {
        json!("***")
    }
}

fn parse_http_url(text: &str) -> Option<Url> {
    let url = Url::parse(text).ok()?;
    let plain = url.username().is_empty() && url.password().is_none() && url.query().is_none();
    let usable =
        matches!(url.scheme(), "http" | "https") && url.has_host() && url.fragment().is_none();
    (plain && usable).then_some(url)
}
