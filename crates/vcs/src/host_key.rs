//! Public keys of ssh servers, as they stand in a `known_hosts` file.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::url::RepositoryUrl;

/// A public key that a host was seen to have.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct HostKey {
    /// As in `known_hosts`: `host` or, off port 22, `[host]:port`.
    pub host: String,
    /// Such as `ssh-ed25519`.
    pub algorithm: String,
    /// The key in base64.
    pub public_key: String,
}

impl HostKey {
    /// The name under which the keys of a repository's host are stored; `None` if it is not reached over ssh.
    pub fn host_of(url: &RepositoryUrl) -> Option<String> {
        if url.protocol() != crate::Protocol::Ssh {
            return None;
        }
        match url.host_and_port()? {
            (host, 22) => Some(host.to_owned()),
            (host, port) => Some(format!("[{host}]:{port}")),
        }
    }

    /// OpenSSH's way to show a key to people: `SHA256:` and the digest in base64.
    pub fn fingerprint(&self) -> String {
        let key = STANDARD.decode(&self.public_key).unwrap_or_default();
        format!("SHA256:{}", STANDARD_NO_PAD.encode(Sha256::digest(key)))
    }

    /// Reads a line of `known_hosts`; `None` for comments, markers and everything that is no key.
    pub(crate) fn from_line(line: &str) -> Option<Self> {
        let mut words = line.split_ascii_whitespace();
        let key = Self {
            host: words.next()?.to_owned(),
            algorithm: words.next()?.to_owned(),
            public_key: words.next()?.to_owned(),
        };
        (!key.host.starts_with(['#', '@', '|']) && STANDARD.decode(&key.public_key).is_ok())
            .then_some(key)
    }

    /// A line of `known_hosts`, if none of the parts would break it.
    pub(crate) fn to_line(&self) -> Option<String> {
        let line = format!("{} {} {}", self.host, self.algorithm, self.public_key);
        (Self::from_line(&line).as_ref() == Some(self)).then_some(line)
    }

    /// Algorithm and fingerprint.
    pub(crate) fn shown(&self) -> String {
        format!("{} {}", self.algorithm, self.fingerprint())
    }
}

#[cfg(test)]
mod tests {
    use super::HostKey;

    #[test]
    fn a_fingerprint_is_what_ssh_keygen_prints() {
        let line = "github.com ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl";
        let key = HostKey::from_line(line).unwrap();
        assert_eq!(
            key.fingerprint(),
            "SHA256:+DiY3wvvV6TuJJhbpZisF/zLDA0zPMSvHdkr4UvCOqU"
        );
        assert_eq!(key.to_line().as_deref(), Some(line));
    }

    #[test]
    fn a_part_with_a_line_end_makes_no_line() {
        let key = HostKey {
            host: "a\n* ssh-rsa AAAA".to_owned(),
            algorithm: "ssh-rsa".to_owned(),
            public_key: "AAAA".to_owned(),
        };
        assert_eq!(key.to_line(), None);
    }
}
