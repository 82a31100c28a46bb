//! The kinds of credentials, and what a credential of each may hold.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use secrecy::ExposeSecret;

use super::{CredentialError, NewCredential};

/// Longest secret, in bytes: an ssh key with room to spare.
const SECRET: usize = 64 * 1024;
/// Longest user name and description, in characters.
const TEXT: usize = 255;

/// What kind of credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CredentialKind {
    /// User name and password.
    HttpBasic,
    /// A token, sent as GitHub, GitLab, Gitea and Bitbucket take it.
    Token,
    /// A private key in OpenSSH's format, without passphrase.
    SshKey,
    /// A token of GitHub's.
    GithubOauth,
    /// A token of GitLab's.
    GitlabToken,
    /// User name and application password of Bitbucket's.
    BitbucketAppPassword,
    /// Public and private key of a Magento repository.
    Magento,
    /// A header of any name; the user name is the header's.
    HttpHeader,
}

impl CredentialKind {
    /// Every kind with the word that clients, the command line and the database use; those of Private Packagist's API, and
    /// our own `token`.
    pub const ALL: [(Self, &'static str); 8] = [
        (Self::HttpBasic, "http-basic"),
        (Self::Token, "token"),
        (Self::SshKey, "ssh-key"),
        (Self::GithubOauth, "github-oauth"),
        (Self::GitlabToken, "gitlab-token"),
        (Self::BitbucketAppPassword, "bitbucket-app-pw"),
        (Self::Magento, "magento"),
        (Self::HttpHeader, "http-header"),
    ];

    /// The word for it.
    pub fn as_str(self) -> &'static str {
        let found = Self::ALL.iter().find(|(kind, _)| *kind == self);
        found.map_or("", |(_, word)| word)
    }

    fn needs_user(self) -> bool {
        matches!(
            self,
            Self::HttpBasic | Self::BitbucketAppPassword | Self::Magento | Self::HttpHeader
        )
    }
}

impl std::str::FromStr for CredentialKind {
    type Err = CredentialError;

    fn from_str(text: &str) -> Result<Self, CredentialError> {
        let found = Self::ALL.iter().find(|(_, word)| *word == text);
        found
            .map(|(kind, _)| *kind)
            .ok_or_else(|| CredentialError::Kind(text.to_owned()))
    }
}

/// Whether a credential could work.
pub(super) fn check(new: &NewCredential, host: &str) -> Result<(), CredentialError> {
    let allowed =
        |character: char| character.is_ascii_alphanumeric() || "-.:[]_".contains(character);
    if host.is_empty() || host.len() > TEXT || host.starts_with('-') || !host.chars().all(allowed) {
        return Err(CredentialError::Host(new.host.clone()));
    }
    let secret = new.secret.expose_secret();
    let plain = |text: &str| text.chars().count() <= TEXT && !text.chars().any(char::is_control);
    if !plain(&new.username) || !plain(&new.description) {
        return Err(CredentialError::Text(
            "user name and description are at most 255 characters, without control characters",
        ));
    }
    if secret.is_empty() || secret.len() > SECRET {
        return Err(CredentialError::Text(
            "the secret is empty or longer than 64 KiB",
        ));
    }
    let is_key = secret.contains("PRIVATE KEY-----");
    match new.kind {
        CredentialKind::SshKey if !is_key => Err(CredentialError::Text(
            "this is not a private key: give the file that ssh-keygen wrote, not the one ending in .pub",
        )),
        CredentialKind::SshKey if has_passphrase(secret) => Err(CredentialError::Text(
            "this private key has a passphrase, which nobody could type in: make one without (ssh-keygen -N '')",
        )),
        CredentialKind::SshKey => Ok(()),
        kind if kind.needs_user() && new.username.is_empty() => Err(CredentialError::Text(
            "a credential of this type needs a user name: http-header has the header's name there",
        )),
        CredentialKind::HttpHeader if !is_header(&new.username) => Err(CredentialError::Text(
            "the user name of an http-header credential is the header's name, such as Authorization or PRIVATE-TOKEN; \
             those that belong to the connection are not taken",
        )),
        _ if secret.chars().any(char::is_control) => Err(CredentialError::Text(
            "the secret has control characters, such as a line end",
        )),
        _ => Ok(()),
    }
}

/// Whether a header may be sent by that name: none that changes what a request is.
fn is_header(name: &str) -> bool {
    // The client sends some of them on to wherever it is redirected.
    const OURS: [&str; 17] = [
        "accept",
        "accept-encoding",
        "accept-language",
        "connection",
        "content-length",
        "content-type",
        "expect",
        "host",
        "if-modified-since",
        "if-none-match",
        "keep-alive",
        "range",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "user-agent",
    ];
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    name.bytes().all(is_token) && !OURS.contains(&name.to_lowercase().as_str())
}

/// OpenSSH's format names its cipher after a fixed head; PEM says so in plain words.
fn has_passphrase(key: &str) -> bool {
    if key.contains("ENCRYPTED") {
        return true;
    }
    let body: String = key
        .lines()
        .filter(|line| !line.contains("-----"))
        .map(str::trim)
        .collect();
    let Ok(bytes) = STANDARD.decode(body) else {
        return false;
    };
    let cipher = bytes.strip_prefix(b"openssh-key-v1\0\0\0\0".as_slice());
    cipher.is_some_and(|cipher| !cipher.starts_with(b"\x04none"))
}
