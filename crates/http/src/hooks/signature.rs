//! Whether a hook comes from somebody who knows the organization's hook secret. Checked before the body is parsed.

use axum::http::HeaderMap;
use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;
use subtle::ConstantTimeEq;

/// Who sends hooks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Provider {
    Github,
    Gitlab,
    /// Gitea and Forgejo.
    Gitea,
    /// Bitbucket Cloud and Bitbucket Server.
    Bitbucket,
    /// Scripts, CI jobs and every other service.
    Generic,
}

/// What a signature came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Right,
    Wrong,
    /// The headers in which this service signs are not there.
    Missing,
}

impl Provider {
    /// As it stands in the path.
    pub(super) fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "github" => Self::Github,
            "gitlab" => Self::Gitlab,
            "gitea" | "forgejo" => Self::Gitea,
            "bitbucket" => Self::Bitbucket,
            "generic" => Self::Generic,
            _ => return None,
        })
    }

    /// As it stands in the audit log and in answers.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Github => "github",
            Self::Gitlab => "gitlab",
            Self::Gitea => "gitea",
            Self::Bitbucket => "bitbucket",
            Self::Generic => "generic",
        }
    }

    /// Headers with an HMAC-SHA-256 of the body, the preferred one first.
    fn signature_headers(self) -> &'static [&'static str] {
        match self {
            Self::Github => &["x-hub-signature-256"],
            Self::Gitea => &[
                "x-forgejo-signature",
                "x-gitea-signature",
                "x-hub-signature-256",
            ],
            Self::Bitbucket => &["x-hub-signature", "x-hub-signature-256"],
            Self::Gitlab | Self::Generic => &[],
        }
    }

    /// Headers with the secret itself.
    fn secret_headers(self) -> &'static [&'static str] {
        match self {
            Self::Gitlab => &["x-gitlab-token"],
            _ => &[],
        }
    }

    /// Whether the call only tries the hook out.
    pub(super) fn is_ping(self, headers: &HeaderMap) -> bool {
        let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        match self {
            Self::Github => header("x-github-event") == Some("ping"),
            Self::Bitbucket => header("x-event-key") == Some("diagnostics:ping"),
            Self::Gitlab | Self::Gitea | Self::Generic => false,
        }
    }

    /// Compares in constant time.
    pub(super) fn check(self, headers: &HeaderMap, body: &[u8], secret: &SecretString) -> Verdict {
        let first = |names: &[&str]| names.iter().find_map(|name| headers.get(*name)).cloned();
        if let Some(signature) = first(self.signature_headers()) {
            return is_signed(signature.as_bytes(), body, secret).into();
        }
        match first(self.secret_headers()) {
            Some(given) => is_secret(given.as_bytes(), secret).into(),
            None => Verdict::Missing,
        }
    }
}

impl From<bool> for Verdict {
    fn from(is_right: bool) -> Self {
        if is_right { Self::Right } else { Self::Wrong }
    }
}

/// Whether `signature`, in hexadecimal with or without `sha256=`, is the HMAC-SHA-256 of `body`.
pub(super) fn is_signed(signature: &[u8], body: &[u8], secret: &SecretString) -> bool {
    let digits = signature.strip_prefix(b"sha256=").unwrap_or(signature);
    let Ok(given) = hex::decode(digits) else {
        return false;
    };
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.expose_secret().as_bytes()) else {
        return false;
    };
    mac.update(body);
    mac.verify_slice(&given).is_ok()
}

/// Whether `given` is the secret itself.
pub(super) fn is_secret(given: &[u8], secret: &SecretString) -> bool {
    bool::from(given.ct_eq(secret.expose_secret().as_bytes()))
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;
    use rstest::rstest;

    use super::*;

    /// HMAC-SHA-256 of "Hello, World!" under "It's a Secret to Everybody": the example in GitHub's handbook.
    const SIGNATURE: &str = "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";

    fn verdict(provider: Provider, name: &'static str, value: &str) -> Verdict {
        let mut headers = HeaderMap::new();
        headers.insert(name, HeaderValue::from_str(value).unwrap());
        provider.check(
            &headers,
            b"Hello, World!",
            &"It's a Secret to Everybody".into(),
        )
    }

    #[rstest]
    #[case(Provider::Github, "x-hub-signature-256", true)]
    #[case(Provider::Gitea, "x-hub-signature-256", true)]
    #[case(Provider::Gitea, "x-gitea-signature", false)]
    #[case(Provider::Gitea, "x-forgejo-signature", false)]
    #[case(Provider::Bitbucket, "x-hub-signature", true)]
    fn signatures_are_taken_where_each_service_puts_them(
        #[case] provider: Provider,
        #[case] header: &'static str,
        #[case] prefixed: bool,
    ) {
        let prefix = if prefixed { "sha256=" } else { "" };
        assert_eq!(
            verdict(provider, header, &format!("{prefix}{SIGNATURE}")),
            Verdict::Right
        );
        assert_eq!(
            verdict(
                provider,
                header,
                &format!("{prefix}{}", SIGNATURE.replace('7', "8"))
            ),
            Verdict::Wrong
        );
        assert_eq!(verdict(provider, header, "sha256=nonsense"), Verdict::Wrong);
        assert_eq!(verdict(provider, header, ""), Verdict::Wrong);
        assert_eq!(verdict(provider, "x-other", SIGNATURE), Verdict::Missing);
    }

    #[test]
    fn gitlab_shows_the_secret_itself() {
        assert_eq!(
            verdict(
                Provider::Gitlab,
                "x-gitlab-token",
                "It's a Secret to Everybody"
            ),
            Verdict::Right
        );
        assert_eq!(
            verdict(Provider::Gitlab, "x-gitlab-token", "It's"),
            Verdict::Wrong
        );
        assert_eq!(
            verdict(Provider::Gitlab, "x-hub-signature-256", SIGNATURE),
            Verdict::Missing
        );
    }
}
