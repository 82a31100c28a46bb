//! The keys by which ssh hosts are recognised: the first one is accepted, and from then on no other.

use kapelle_storage::StorageError;
use kapelle_storage::db::ssh_host_keys::{self as rows, SshHostKey};
use kapelle_vcs::HostKey;
use serde_json::json;

use crate::access::{self, Denied};
use crate::actor::Actor;
use crate::audit;
use crate::clock::Millis;
use crate::registry::Registry;

/// Why host keys could not be shown or forgotten.
#[derive(Debug, thiserror::Error)]
pub enum HostKeyError {
    /// Not allowed.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// No key of that host is known.
    #[error("no key of the ssh host {0:?} is known: `kapelle host-key list` shows them")]
    Unknown(String),
    /// The database failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// A key that a host is known by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownKey {
    /// `host`, or `[host]:port` where the port is not 22.
    pub host: String,
    /// `ssh-ed25519`.
    pub algorithm: String,
    /// `SHA256:…`, as `ssh-keygen -l` shows it.
    pub fingerprint: String,
    /// When it was seen first.
    pub accepted_at: Millis,
}

impl From<SshHostKey> for KnownKey {
    fn from(row: SshHostKey) -> Self {
        let key = HostKey {
            host: row.host,
            algorithm: row.algorithm,
            public_key: row.public_key,
        };
        Self {
            fingerprint: key.fingerprint(),
            host: key.host,
            algorithm: key.algorithm,
            accepted_at: row.accepted_at,
        }
    }
}

/// The keys of all hosts, by host. They belong to the whole installation.
pub async fn list(registry: &Registry, actor: &Actor) -> Result<Vec<KnownKey>, HostKeyError> {
    access::administer(actor, 0)?;
    let keys = rows::list_all(&mut registry.database().read().await?).await?;
    Ok(keys.into_iter().map(KnownKey::from).collect())
}

/// Forgets a host's keys: the next synchronization accepts what the host shows then. `host` is written as in a
/// repository's URL, with `:port` where it has one, or as [`list`] shows it. Gives what was forgotten.
pub async fn remove(
    registry: &Registry,
    actor: &Actor,
    host: &str,
) -> Result<Vec<KnownKey>, HostKeyError> {
    access::administer(actor, 0)?;
    let mut transaction = registry.database().write().await?;
    for name in stored_names(host) {
        let keys = rows::list(&mut transaction, &name).await?;
        if rows::delete(&mut transaction, &name).await? == 0 {
            continue;
        }
        let forgotten: Vec<KnownKey> = keys.into_iter().map(KnownKey::from).collect();
        let fingerprints: Vec<&str> = forgotten
            .iter()
            .map(|key| key.fingerprint.as_str())
            .collect();
        let entry = audit::Entry {
            organization_id: None,
            action: "ssh-host-key.remove",
            subject: &name,
            detail: json!({ "fingerprints": fingerprints }),
        };
        audit::record(registry, &mut transaction, actor, entry).await?;
        transaction.commit().await?;
        return Ok(forgotten);
    }
    Err(HostKeyError::Unknown(host.to_owned()))
}

/// Accepts keys that hosts have shown for the first time; gives those that were not known, which are not all of them
/// when another job saw them at the same time.
pub(crate) async fn accept<'k>(
    registry: &Registry,
    actor: &Actor,
    keys: &'k [HostKey],
) -> Result<Vec<&'k HostKey>, StorageError> {
    if keys.is_empty() {
        return Ok(Vec::new());
    }
    let now = registry.now();
    let mut accepted = Vec::new();
    let mut transaction = registry.database().write().await?;
    for key in keys {
        let HostKey {
            host,
            algorithm,
            public_key,
        } = key;
        if !rows::insert(&mut transaction, host, algorithm, public_key, now).await? {
            continue;
        }
        let entry = audit::Entry {
            organization_id: None,
            action: "ssh-host-key.accept",
            subject: host,
            detail: json!({ "algorithm": algorithm, "fingerprint": key.fingerprint() }),
        };
        audit::record(registry, &mut transaction, actor, entry).await?;
        accepted.push(key);
    }
    transaction.commit().await?;
    Ok(accepted)
}

/// How a host may be stored that is written as in a URL.
fn stored_names(host: &str) -> Vec<String> {
    let host = host.trim().to_lowercase();
    let bare = |host: &str| host.trim_matches(['[', ']']).to_owned();
    let mut names = vec![host.clone()];
    match host.rsplit_once(':') {
        Some((name, "22")) => names.push(bare(name)),
        Some((name, port)) if port.parse::<u16>().is_ok() => {
            names.push(format!("[{}]:{port}", bare(name)));
        }
        _ => {}
    }
    names.push(bare(&host));
    names
}

#[cfg(test)]
mod tests {
    use super::stored_names;

    #[test]
    fn a_host_is_found_as_urls_and_as_known_hosts_write_it() {
        for (written, stored) in [
            ("git.example.com", "git.example.com"),
            ("Git.Example.com:22", "git.example.com"),
            ("localhost:9022", "[localhost]:9022"),
            ("[localhost]:9022", "[localhost]:9022"),
            ("[::1]:9022", "[::1]:9022"),
            ("[::1]", "::1"),
            ("::1", "::1"),
        ] {
            assert!(
                stored_names(written).contains(&stored.to_owned()),
                "{written}"
            );
        }
    }
}
