//! A package's repository as it can be reached: its address, our credential for it, the ssh keys we know it by.

use kapelle_storage::Connection;
use kapelle_storage::db::packages::Package;
use kapelle_storage::db::ssh_host_keys;
use kapelle_vcs::{Access, Credential, HostKey, Listing, Protocols, RepositoryUrl, VcsError};

use crate::actor::Actor;
use crate::credential;
use crate::host_key;
use crate::jobs::{JobContext, JobError};

/// Refs that cannot be mirrored, which one job's log names.
const REJECTED: usize = 100;

/// Everything that it takes to reach a repository.
pub(super) struct Upstream {
    url: RepositoryUrl,
    credential: Option<Credential>,
    known_hosts: Vec<HostKey>,
}

impl Upstream {
    /// The repository of `package`.
    pub(super) async fn of(context: &JobContext, package: &Package) -> Result<Self, JobError> {
        let mut connection = context.registry.database().read().await?;
        Self::read(context, &mut connection, package).await
    }

    /// The same with a connection that the caller has already.
    pub(super) async fn read(
        context: &JobContext,
        connection: &mut Connection,
        package: &Package,
    ) -> Result<Self, JobError> {
        // What may be added was decided then; what may be contacted is decided by git's own setting.
        let url = RepositoryUrl::parse(&package.repository_url, &Protocols::all())
            .map_err(|error| JobError::Fail(error.to_string()))?;
        Ok(Self {
            credential: credential::for_repository(&context.registry, connection, package, &url)
                .await?,
            known_hosts: known_host_keys(connection, &url).await?,
            url,
        })
    }

    /// As git is told.
    pub(super) fn access(&self) -> Access<'_> {
        Access {
            url: &self.url,
            credential: self.credential.as_ref(),
            known_hosts: &self.known_hosts,
        }
    }

    /// What it has now. Keys of an ssh host that was unknown are accepted once: from here on, any other is refused.
    pub(super) async fn list(&mut self, context: &JobContext) -> Result<Listing, JobError> {
        let mut listing = context.registry.parts.git.list_refs(&self.access()).await?;
        accept_host_keys(context, &listing.new_host_keys).await?;
        self.known_hosts.extend_from_slice(&listing.new_host_keys);
        reject_unreadable(&mut listing);
        let mut lines: Vec<String> = listing
            .rejected
            .iter()
            .take(REJECTED)
            .map(|(name, reason)| format!("{name} is ignored: {reason}"))
            .collect();
        if listing.rejected.len() > REJECTED {
            lines.push(format!(
                "{} refs are ignored in all",
                listing.rejected.len()
            ));
        }
        context.log(&lines).await?;
        Ok(listing)
    }
}

/// A name that is no UTF-8 was listed with replacements, under which nothing can be fetched.
fn reject_unreadable(listing: &mut Listing) {
    let is_readable = |name: &String| !name.contains(char::REPLACEMENT_CHARACTER);
    let unreadable: Vec<String> = listing
        .refs
        .keys()
        .filter(|name| !is_readable(name))
        .cloned()
        .collect();
    for name in unreadable {
        listing.refs.remove(&name);
        let reason = "its name is not UTF-8".to_owned();
        listing.rejected.push((name, reason));
    }
}

async fn known_host_keys(
    connection: &mut Connection,
    url: &RepositoryUrl,
) -> Result<Vec<HostKey>, JobError> {
    let Some(host) = HostKey::host_of(url) else {
        return Ok(Vec::new());
    };
    let rows = ssh_host_keys::list(connection, &host).await?;
    Ok(rows
        .into_iter()
        .map(|row| HostKey {
            host: row.host,
            algorithm: row.algorithm,
            public_key: row.public_key,
        })
        .collect())
}

/// Whoever reads the logs can compare fingerprints.
async fn accept_host_keys(context: &JobContext, keys: &[HostKey]) -> Result<(), JobError> {
    let actor = Actor::Job("SyncPackage");
    let accepted = host_key::accept(&context.registry, &actor, keys).await?;
    let mut lines = Vec::new();
    for key in accepted {
        let (host, algorithm, fingerprint) = (&key.host, &key.algorithm, key.fingerprint());
        tracing::warn!(
            host,
            algorithm,
            fingerprint,
            "an ssh host showed its key for the first time; it is accepted from now on"
        );
        lines.push(format!(
            "{host} showed its ssh key for the first time, which is accepted from now on: {algorithm} {fingerprint}"
        ));
    }
    context.log(&lines).await
}

impl From<VcsError> for JobError {
    fn from(error: VcsError) -> Self {
        if matches!(error, VcsError::Disk { .. } | VcsError::Io { .. }) {
            Self::Postpone(error.to_string())
        } else if error.is_permanent() {
            Self::Fail(error.to_string())
        } else {
            Self::Retry(error.to_string())
        }
    }
}
