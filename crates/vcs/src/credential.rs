//! Our own secrets towards a repository's host.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use secrecy::{ExposeSecret, SecretString};

use crate::url::RepositoryUrl;

/// What proves to a host who we are. Its `Debug` shows no secret.
#[derive(Clone, Debug)]
pub enum Credential {
    /// User name and password over https (or http).
    HttpBasic {
        /// The user name.
        username: String,
        /// The password.
        password: SecretString,
    },
    /// An access token over https (or http), sent as the password of the user that the host expects with a token.
    Token {
        /// The token.
        token: SecretString,
    },
    /// Any header over https (or http).
    Header {
        /// Its name.
        name: String,
        /// Its value.
        value: SecretString,
    },
    /// A private key over ssh.
    SshKey {
        /// In OpenSSH's or PEM's text form, without a passphrase.
        private_key: SecretString,
    },
}

impl Credential {
    /// The header for a host reached over http, name and value; `None` for ssh keys.
    pub fn header(&self, url: &RepositoryUrl) -> Option<(&str, String)> {
        let (username, password) = match self {
            Self::HttpBasic { username, password } => (username.as_str(), password),
            Self::Token { token } => (token_user(&url.host), token),
            Self::Header { name, value } => return Some((name, value.expose_secret().to_owned())),
            Self::SshKey { .. } => return None,
        };
        let pair = format!("{username}:{}", password.expose_secret());
        Some(("Authorization", format!("Basic {}", STANDARD.encode(pair))))
    }

    /// Every text that must never be shown.
    pub(crate) fn secrets(&self, url: &RepositoryUrl) -> Vec<String> {
        let plain = match self {
            Self::HttpBasic { password, .. } => password,
            Self::Token { token } => token,
            Self::Header { value, .. } => value,
            Self::SshKey { private_key } => private_key,
        };
        let encoded = self
            .header(url)
            .and_then(|(_, value)| value.strip_prefix("Basic ").map(str::to_owned));
        let plain = plain.expose_secret().trim().to_owned();
        encoded.into_iter().chain([plain]).collect()
    }
}

/// The user name that goes with a token. Hosts not named here take any.
fn token_user(host: &str) -> &'static str {
    match host {
        "bitbucket.org" => "x-token-auth",
        "github.com" => "x-access-token",
        _ => "oauth2",
    }
}
