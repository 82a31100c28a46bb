//! URLs of databases and archives, which may hold a password.

use serde_json::{Value as Json, json};

use super::value::{Raw, Value, not_empty};

/// A URL of an engine (`postgres://…`, `s3://…`), which may hold a password.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct EngineUrl(String);

impl EngineUrl {
    /// With its password: for connecting only.
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }

    /// What stands before the first colon.
    pub(crate) fn scheme(&self) -> &str {
        self.0.split(':').next().unwrap_or_default()
    }

    fn masked(&self) -> String {
        let Some((scheme, rest)) = self.0.split_once("://") else {
            return self.0.clone();
        };
        let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        let authority = match authority.rsplit_once('@') {
            Some((user, host)) => {
                format!("{}:***@{host}", user.split(':').next().unwrap_or_default())
            }
            None => authority.to_owned(),
        };
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let hidden = if query.contains("password") {
            "?***"
        } else {
            ""
        };
        let query = if hidden.is_empty() && !query.is_empty() {
            format!("?{query}")
        } else {
            hidden.to_owned()
        };
        format!("{scheme}://{authority}{path}{query}")
    }
}

impl std::fmt::Debug for EngineUrl {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&self.masked())
    }
}

impl Value for EngineUrl {
    fn expects() -> String {
        "a URL that begins with its engine and a colon".to_owned()
    }

    fn parse(text: &str) -> Option<Self> {
        not_empty(text).filter(|text| text.contains(':')).map(Self)
    }

    fn show(&self) -> Json {
        json!(self.masked())
    }

    /// It may hold a password, so it is not repeated.
    fn refusal(_: &Raw) -> String {
        format!("the value is not {}", Self::expects())
    }
}
