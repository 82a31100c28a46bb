//! The credentials in a request's headers, in every form that Composer versions send a token in.

use axum::http::{HeaderMap, HeaderValue, header};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use secrecy::SecretString;

/// Passwords that say: the token is the user name. Composer 1.10 sends the first for `gitlab-token`.
const MARKERS: [&str; 4] = [
    "private-token",
    "x-oauth-basic",
    "gitlab-ci-token",
    "oauth2",
];
/// Where Composer puts a `gitlab-token`.
const PRIVATE_TOKEN: &str = "private-token";

/// What was shown.
#[derive(Debug)]
pub(crate) enum Shown {
    /// No credentials at all, or empty ones.
    Nothing,
    /// Something that may be a token.
    Secret(SecretString),
    /// Credentials of a form that no token of ours has.
    Unreadable,
}

/// Looks at `Authorization` (Basic with any user name, Bearer) and `PRIVATE-TOKEN`.
pub(crate) fn shown(headers: &HeaderMap) -> Shown {
    if let Some(header) = headers.get(header::AUTHORIZATION) {
        return shown_in(header);
    }
    match headers.get(PRIVATE_TOKEN).map(HeaderValue::to_str) {
        Some(Ok(text)) => secret(text.trim()),
        Some(Err(_)) => Shown::Unreadable,
        None => Shown::Nothing,
    }
}

/// Looks at one `Authorization`.
pub(crate) fn shown_in(header: &HeaderValue) -> Shown {
    let Ok(text) = header.to_str() else {
        return Shown::Unreadable;
    };
    let (scheme, rest) = text.trim().split_once(' ').unwrap_or((text.trim(), ""));
    if scheme.eq_ignore_ascii_case("basic") {
        basic(rest.trim())
    } else if scheme.eq_ignore_ascii_case("bearer") {
        bearer(rest.trim())
    } else {
        Shown::Unreadable
    }
}

fn basic(encoded: &str) -> Shown {
    let decoded = STANDARD
        .decode(encoded)
        .ok()
        .and_then(|bytes| String::from_utf8(bytes).ok());
    match decoded.as_deref().and_then(|text| text.split_once(':')) {
        Some((user, "")) => secret(user),
        Some((user, password)) if MARKERS.contains(&password) => secret(user),
        Some((_, password)) => secret(password),
        None => Shown::Unreadable,
    }
}

/// packagist.org's tools send `user:token`; our tokens have no colon.
fn bearer(text: &str) -> Shown {
    secret(text.rsplit_once(':').map_or(text, |(_, token)| token))
}

fn secret(text: &str) -> Shown {
    if text.is_empty() {
        Shown::Nothing
    } else {
        Shown::Secret(text.into())
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;
    use rstest::rstest;
    use secrecy::ExposeSecret;

    use super::*;

    fn read(name: &'static str, value: &str) -> String {
        let mut headers = HeaderMap::new();
        headers.insert(name, HeaderValue::from_str(value).unwrap());
        match shown(&headers) {
            Shown::Nothing => "nothing".to_owned(),
            Shown::Unreadable => "unreadable".to_owned(),
            Shown::Secret(secret) => format!("secret {}", secret.expose_secret()),
        }
    }

    #[rstest]
    #[case("token:T", "secret T")]
    #[case("anybody:T", "secret T")]
    #[case("T:", "secret T")]
    #[case("T:private-token", "secret T")]
    #[case("T:x-oauth-basic", "secret T")]
    #[case("user:a:b", "secret a:b")]
    #[case(":", "nothing")]
    #[case("no colon", "unreadable")]
    fn basic_credentials_hold_the_token_as_password_or_as_user(
        #[case] plain: &str,
        #[case] read_as: &str,
    ) {
        assert_eq!(
            read(
                "authorization",
                &format!("Basic {}", STANDARD.encode(plain))
            ),
            read_as
        );
    }

    #[rstest]
    #[case("authorization", "Bearer T", "secret T")]
    #[case("authorization", "bearer somebody:T", "secret T")]
    #[case("authorization", "Bearer", "nothing")]
    #[case("authorization", "Basic !!!", "unreadable")]
    #[case("authorization", "Digest x", "unreadable")]
    #[case("private-token", "T", "secret T")]
    fn other_forms(#[case] name: &'static str, #[case] value: &str, #[case] read_as: &str) {
        assert_eq!(read(name, value), read_as);
    }
}
