//! Parameters of a query string or a form, read leniently: what cannot be decoded is replaced, not refused.

use std::convert::Infallible;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use url::form_urlencoded;

/// Most parameters that are read.
const MOST: usize = 2_000;

/// Names and values in the order of their appearance, without NUL characters, which no database text may have.
#[derive(Debug, Default)]
pub(crate) struct Parameters(Vec<(String, String)>);

impl Parameters {
    /// Reads `a=b&c=d`.
    pub(crate) fn parse(text: &[u8]) -> Self {
        let clean = |text: std::borrow::Cow<'_, str>| text.replace('\0', "");
        let pairs = form_urlencoded::parse(text).take(MOST);
        Self(
            pairs
                .map(|(name, value)| (clean(name), clean(value)))
                .collect(),
        )
    }

    /// The first value of that name which is not empty.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        let mut values = self
            .0
            .iter()
            .filter(|(key, value)| key == name && !value.is_empty());
        values.next().map(|(_, value)| value.as_str())
    }

    /// The value as a number.
    pub(crate) fn number(&self, name: &str) -> Option<i64> {
        self.get(name)?.parse().ok()
    }

    /// Every value of PHP's list parameter: `name[]`, `name[0]`, or the plain name.
    pub(crate) fn list(&self, name: &str) -> Vec<String> {
        let is_member = |key: &str| {
            let rest = key.strip_prefix(name);
            rest.is_some_and(|rest| {
                rest.is_empty() || (rest.starts_with('[') && rest.ends_with(']'))
            })
        };
        self.0
            .iter()
            .filter(|(key, _)| is_member(key))
            .map(|(_, value)| value.clone())
            .collect()
    }
}

impl<S: Sync> FromRequestParts<S> for Parameters {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Infallible> {
        Ok(Self::parse(
            parts.uri.query().unwrap_or_default().as_bytes(),
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_read_in_php_forms() {
        let form = Parameters::parse(
            b"packages%5B0%5D=a%2Fb&packages[]=c/d&packages=e/f&packagesx=g&other=h",
        );
        assert_eq!(form.list("packages"), ["a/b", "c/d", "e/f"]);
    }

    #[test]
    fn empty_values_count_as_absent() {
        let query = Parameters::parse(b"type=&q=a+b%00&page=x");
        assert_eq!(query.get("type"), None);
        assert_eq!(query.get("q"), Some("a b"));
        assert_eq!(query.number("page"), None);
    }
}
