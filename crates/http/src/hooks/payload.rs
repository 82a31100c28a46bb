//! What a hook's body says: the addresses of one repository, in the shapes of every service, and sometimes credentials.
//!
//! An address is only a question. It is compared with the packages that exist, and nothing is ever fetched from it.

use axum::http::HeaderMap;
use serde_json::Value;
use url::Url;

use super::is_json;
use crate::error::ApiError;
use crate::extract::Parameters;
use crate::json;

/// Where services put addresses of the repository, as JSON pointers.
const ADDRESSES: [&str; 25] = [
    // packagist.org's short form, and ours
    "/repository",
    "/url",
    // GitHub, Gitea and Forgejo
    "/repository/clone_url",
    "/repository/ssh_url",
    "/repository/html_url",
    "/repository/git_url",
    "/repository/svn_url",
    "/repository/url",
    // GitLab: projects, and the older repository
    "/project/git_http_url",
    "/project/git_ssh_url",
    "/project/web_url",
    "/project/http_url",
    "/project/ssh_url",
    "/project/url",
    "/repository/git_http_url",
    "/repository/git_ssh_url",
    "/repository/homepage",
    // Bitbucket Cloud, and Bitbucket Server in one or two links
    "/repository/links/html/href",
    "/repository/links/clone/0/href",
    "/repository/links/clone/1/href",
    "/repository/links/clone/2/href",
    "/repository/links/self/0/href",
    "/repository/website",
    // what composer.json calls it
    "/source/url",
    "/package/repository",
];

/// A parsed body.
#[derive(Debug)]
pub(super) struct Payload {
    json: Value,
    form: Parameters,
}

impl Payload {
    /// Reads JSON, or a form whose field `payload` is JSON (as GitHub may send), or a form with plain fields.
    pub(super) fn parse(headers: &HeaderMap, body: &[u8], depth: usize) -> Result<Self, ApiError> {
        let looks_like_json = body.trim_ascii_start().starts_with(b"{");
        if is_json(headers) || looks_like_json {
            let json = json::parse(body, depth).map_err(ApiError::Payload)?;
            return Ok(Self {
                json,
                form: Parameters::default(),
            });
        }
        let form = Parameters::parse(body);
        let json = match form.get("payload") {
            Some(text) => json::parse(text.as_bytes(), depth).map_err(ApiError::Payload)?,
            None => Value::Null,
        };
        Ok(Self { json, form })
    }

    /// Every address of the repository that the body has.
    pub(super) fn urls(&self) -> Vec<String> {
        let in_json = ADDRESSES
            .iter()
            .filter_map(|pointer| self.json.pointer(pointer)?.as_str());
        let in_form = ["repository", "url"]
            .into_iter()
            .filter_map(|name| self.form.get(name));
        let mut urls: Vec<String> = in_json.chain(in_form).filter_map(bare).collect();
        urls.sort_unstable();
        urls.dedup();
        urls
    }

    /// A field with credentials: packagist.org's forms allow them in the body.
    pub(super) fn field(&self, name: &str) -> Option<&str> {
        self.json
            .get(name)
            .and_then(Value::as_str)
            .or_else(|| self.form.get(name))
            .filter(|text| !text.is_empty())
    }

    /// Which service the shape is of.
    pub(super) fn kind(&self) -> &'static str {
        let has = |pointer: &str| self.json.pointer(pointer).is_some();
        if has("/project/git_http_url") || has("/project/git_ssh_url") {
            "gitlab"
        } else if has("/repository/links") {
            "bitbucket"
        } else if has("/repository/url") || has("/repository/clone_url") {
            "github"
        } else {
            "manual"
        }
    }
}

/// An address without what does not belong to it: user names and passwords of http, parameters, and the page of
/// Bitbucket Server on which people browse.
fn bare(address: &str) -> Option<String> {
    let address = address.trim();
    let scheme = address.split_once("://").map_or("", |(scheme, _)| scheme);
    if !["http", "https"]
        .iter()
        .any(|http| scheme.eq_ignore_ascii_case(http))
    {
        return (!address.is_empty()).then(|| address.to_owned());
    }
    let mut url = Url::parse(address).ok()?;
    url.set_query(None);
    url.set_fragment(None);
    url.set_username("").ok()?;
    url.set_password(None).ok()?;
    let text = url.as_str();
    Some(text.strip_suffix("/browse").unwrap_or(text).to_owned())
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderValue, header};
    use rstest::rstest;

    use super::*;

    fn read(body: &str) -> Payload {
        Payload::parse(&HeaderMap::new(), body.as_bytes(), 64).unwrap()
    }

    #[rstest]
    #[case(
        r#"{"repository":"https://github.com/acme/lib"}"#,
        "manual",
        "https://github.com/acme/lib"
    )]
    #[case(
        r#"{"repository":{"url":"https://github.com/acme/lib"}}"#,
        "github",
        "https://github.com/acme/lib"
    )]
    #[case(
        r#"{"project":{"git_http_url":"https://git.example.org/acme/lib.git"}}"#,
        "gitlab",
        "https://git.example.org/acme/lib.git"
    )]
    #[case(
        r#"{"repository":{"links":{"html":{"href":"https://bitbucket.org/acme/lib"}}}}"#,
        "bitbucket",
        "https://bitbucket.org/acme/lib"
    )]
    #[case(
        r#"{"repository":{"links":{"clone":[{"href":"https://me@bitbucket.org/acme/lib.git"}]}}}"#,
        "bitbucket",
        "https://bitbucket.org/acme/lib.git"
    )]
    #[case(
        r#"{"repository":{"links":{"self":[{"href":"https://b.example.org/projects/A/repos/lib/browse"}]}}}"#,
        "bitbucket",
        "https://b.example.org/projects/A/repos/lib"
    )]
    #[case(
        r#"{"repository":{"clone_url":"HTTPS://me:secret@github.com/acme/lib.git?x#y"}}"#,
        "github",
        "https://github.com/acme/lib.git"
    )]
    #[case(
        "repository=git%40github.com%3Aacme%2Flib.git",
        "manual",
        "git@github.com:acme/lib.git"
    )]
    #[case(
        "payload=%7B%22repository%22%3A%22https%3A%2F%2Fx.org%2Fa%2Fb%22%7D",
        "manual",
        "https://x.org/a/b"
    )]
    fn each_service_names_its_repository(
        #[case] body: &str,
        #[case] kind: &str,
        #[case] url: &str,
    ) {
        let payload = read(body);
        assert_eq!(
            (payload.kind(), payload.urls()),
            (kind, vec![url.to_owned()])
        );
    }

    #[test]
    fn a_body_without_a_repository_has_no_address() {
        assert!(read("{}").urls().is_empty());
        assert!(read("").urls().is_empty());
        assert!(read(r#"{"repository":{"url":7}}"#).urls().is_empty());
    }

    #[test]
    fn broken_json_is_refused_with_its_place() {
        let mut headers = HeaderMap::new();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/json; charset=utf-8"),
        );
        let error = Payload::parse(&headers, b"nope", 64).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the body is not valid JSON at line 1, column 2"
        );
    }
}
