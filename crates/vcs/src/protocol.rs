//! The protocols a repository can be reached by, and which of them are allowed.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// How git reaches a repository.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// `https://`
    Https,
    /// `http://`: neither private nor authentic.
    Http,
    /// `ssh://` and `user@host:path`
    Ssh,
    /// `git://`, the git daemon: neither private nor authentic.
    Git,
    /// `file://` and absolute paths: whatever the server process can read.
    File,
}

impl Protocol {
    /// As it is written in URLs and in the settings: "https".
    pub fn name(self) -> &'static str {
        match self {
            Self::Https => "https",
            Self::Http => "http",
            Self::Ssh => "ssh",
            Self::Git => "git",
            Self::File => "file",
        }
    }

    /// The port used when a URL names none; files have no port.
    pub fn default_port(self) -> Option<u16> {
        match self {
            Self::Https => Some(443),
            Self::Http => Some(80),
            Self::Ssh => Some(22),
            Self::Git => Some(9418),
            Self::File => None,
        }
    }

    /// Whether a server is asked over http or https.
    pub fn is_http(self) -> bool {
        matches!(self, Self::Https | Self::Http)
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A word that names no protocol.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{name:?} is no protocol; known are https, http, ssh, git and file")]
pub struct UnknownProtocol {
    /// The word, in lower case.
    pub name: String,
}

impl FromStr for Protocol {
    type Err = UnknownProtocol;

    /// Takes any case.
    fn from_str(text: &str) -> Result<Self, UnknownProtocol> {
        let name = text.to_ascii_lowercase();
        [Self::Https, Self::Http, Self::Ssh, Self::Git, Self::File]
            .into_iter()
            .find(|protocol| protocol.name() == name)
            .ok_or(UnknownProtocol { name })
    }
}

/// The protocols that the settings allow; https and ssh unless they say otherwise.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Protocols(BTreeSet<Protocol>);

impl Protocols {
    /// Every protocol there is: for comparing URLs, not for contacting anyone.
    pub fn all() -> Self {
        [
            Protocol::Https,
            Protocol::Http,
            Protocol::Ssh,
            Protocol::Git,
            Protocol::File,
        ]
        .into_iter()
        .collect()
    }

    /// Whether a protocol is allowed.
    pub fn allow(&self, protocol: Protocol) -> bool {
        self.0.contains(&protocol)
    }

    /// The allowed protocols in a fixed order.
    pub fn iter(&self) -> impl Iterator<Item = Protocol> + '_ {
        self.0.iter().copied()
    }
}

impl Default for Protocols {
    fn default() -> Self {
        [Protocol::Https, Protocol::Ssh].into_iter().collect()
    }
}

impl FromIterator<Protocol> for Protocols {
    fn from_iter<I: IntoIterator<Item = Protocol>>(protocols: I) -> Self {
        Self(protocols.into_iter().collect())
    }
}

impl FromStr for Protocols {
    type Err = UnknownProtocol;

    /// Names separated by commas, as in `KAPELLE_VCS__PROTOCOLS=https,ssh,file`.
    fn from_str(text: &str) -> Result<Self, UnknownProtocol> {
        text.split(',')
            .map(str::trim)
            .filter(|name| !name.is_empty())
            .map(str::parse)
            .collect()
    }
}
