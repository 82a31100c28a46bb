//! Credentials: the server's way to reach others.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A credential as it is shown: without its secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Credential {
    /// Its number.
    pub id: i64,
    /// What it is for.
    pub description: String,
    /// Its host, with `:port` where it has one.
    pub domain: String,
    /// The user name.
    pub username: String,
    /// Always empty: no secret leaves the server.
    pub credential: String,
    /// `http-basic`, `ssh-key` and others.
    #[serde(rename = "type")]
    pub kind: String,
}

/// The body of `POST credentials/`. Its `Debug` shows no secret.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewCredential {
    /// What it is for.
    #[serde(default)]
    pub description: String,
    /// `bitbucket-app-pw`, `github-oauth`, `gitlab-token`, `http-basic`, `magento`, `http-header` or `ssh-key`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Its host.
    pub domain: String,
    /// The user name.
    #[serde(default)]
    pub username: Option<String>,
    /// The secret.
    pub credential: String,
}

/// The body of `PUT credentials/{credential}/`: what is not there stays. Its `Debug` shows no secret.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CredentialChange {
    /// The user name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// The secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credential: Option<String>,
    /// The type.
    #[serde(default, rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
}

impl fmt::Debug for NewCredential {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "NewCredential({} for {})",
            self.kind, self.domain
        )
    }
}

impl fmt::Debug for CredentialChange {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "CredentialChange({:?})", self.kind)
    }
}
