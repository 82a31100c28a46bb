//! What the repository looks like now, compared with what the last synchronization saw.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use kapelle_composer::{Manifest, PackageName, branch_version, tag_version};
use kapelle_storage::db::packages::Package;
use kapelle_storage::db::versions::Version;
use kapelle_storage::db::{package_refs, ssh_host_keys, versions};
use kapelle_vcs::{
    Access, FileContent, HostKey, Listing, Mirror, Protocols, RepositoryUrl, VcsError,
};

use crate::actor::Actor;
use crate::audit;
use crate::credential;
use crate::jobs::{JobContext, JobError};

/// A tag or branch that is new, has moved, or takes the place of one that is gone.
#[derive(Debug)]
pub(super) struct ObservedRef {
    /// `refs/tags/1.0.0` or `refs/heads/main`.
    pub(super) name: String,
    /// The commit it points to, peeled.
    pub(super) commit: String,
    /// Author date in milliseconds since 1970, as Composer takes it.
    pub(super) committed_at: i64,
    /// composer.json there, or why there is none.
    pub(super) manifest: Result<Committed, String>,
}

/// A composer.json as committed.
#[derive(Debug)]
pub(super) struct Committed {
    pub(super) text: String,
    pub(super) manifest: Manifest,
}

/// A repository's state against our rows.
#[derive(Debug)]
pub(super) struct Observation {
    /// The branch that HEAD names.
    pub(super) default_branch: Option<String>,
    /// New and moved refs, in the order of their names.
    pub(super) changed: Vec<ObservedRef>,
    /// Refs that we know and upstream no longer has.
    pub(super) removed: BTreeSet<String>,
    /// What is published now.
    pub(super) live: Vec<Version>,
    /// The name in the default branch's composer.json, when that branch was read.
    root_name: Option<Result<Option<String>, String>>,
}

/// Lists the refs, fetches what differs and reads composer.json at each of them.
pub(super) async fn observe(
    context: &JobContext,
    package: &Package,
) -> Result<Observation, JobError> {
    let registry = &context.registry;
    // What may be added was decided then; what may be contacted is decided by git's own setting.
    let url = RepositoryUrl::parse(&package.repository_url, &Protocols::all())
        .map_err(|error| JobError::Fail(error.to_string()))?;
    let credential = credential::for_repository(registry, package, &url).await?;
    let mut known_hosts = known_host_keys(context, &url).await?;
    let access = Access {
        url: &url,
        credential: credential.as_ref(),
        known_hosts: &known_hosts,
    };

    let listing = registry.parts.git.list_refs(&access).await?;
    accept_host_keys(context, &listing.new_host_keys).await?;
    // Accepted once: from here on, any other key is refused.
    known_hosts.extend_from_slice(&listing.new_host_keys);
    let access = Access {
        known_hosts: &known_hosts,
        url: &url,
        credential: credential.as_ref(),
    };
    for (name, reason) in &listing.rejected {
        context
            .log(&[format!("{name} is ignored: {reason}")])
            .await?;
    }

    let mut connection = registry.database().read().await?;
    let known: HashMap<String, String> = package_refs::list(&mut connection, package.id)
        .await?
        .into_iter()
        .map(|known| (known.name, known.commit_id))
        .collect();
    let live = versions::list_live(&mut connection, package.id).await?;
    drop(connection);

    let mut difference = Difference::between(&known, &listing, &live, package);
    let mirror = registry.parts.git.mirror(package.id);
    if difference.is_empty() && mirror.exists() {
        return Ok(Observation::new(
            listing,
            difference.removed,
            Vec::new(),
            live,
        ));
    }
    context
        .log(&[format!(
            "{} refs to read, {} are gone",
            difference.read.len(),
            difference.removed.len()
        )])
        .await?;
    let at = fetch(&mirror, &access, &listing, &difference).await?;
    for (name, commit) in &mut difference.read {
        // Upstream may have moved on since it listed its refs.
        if let Some(fetched) = at.get(name) {
            commit.clone_from(fetched);
        }
    }
    context.check()?;
    let changed = read_refs(context, &mirror, difference.read).await?;
    Ok(Observation::new(listing, difference.removed, changed, live))
}

/// Brings the mirror up to date; a damaged one is made anew. Gives where each ref is now.
async fn fetch(
    mirror: &Mirror,
    access: &Access<'_>,
    listing: &Listing,
    difference: &Difference,
) -> Result<BTreeMap<String, String>, JobError> {
    // All refs are asked for: what the mirror has already is not fetched again, and what it has lost is.
    let wanted: Vec<(String, String)> = listing
        .refs
        .iter()
        .map(|(name, commit)| (name.clone(), commit.clone()))
        .collect();
    let removed: Vec<String> = difference.removed.iter().cloned().collect();
    let fetched = match mirror.fetch(access, &wanted, &removed).await {
        Err(VcsError::Corrupt { .. }) => {
            mirror.reset().await?;
            mirror.fetch(access, &wanted, &removed).await
        }
        outcome => outcome,
    };
    Ok(fetched?.refs)
}

/// Refs to read, with their commits, and refs that are gone.
struct Difference {
    read: Vec<(String, String)>,
    removed: BTreeSet<String>,
}

impl Difference {
    fn between(
        known: &HashMap<String, String>,
        listing: &Listing,
        live: &[Version],
        package: &Package,
    ) -> Self {
        let removed: BTreeSet<String> = known
            .keys()
            .filter(|name| !listing.refs.contains_key(*name))
            .cloned()
            .collect();
        // A version whose ref is gone may be taken over by another ref that means the same version.
        let orphaned: BTreeSet<&str> = live
            .iter()
            .filter(|version| removed.contains(&version.ref_name))
            .map(|version| version.version_normalized.as_str())
            .collect();
        let new_default = listing.default_branch != package.default_branch;
        let must_read = |name: &String, commit: &String| {
            known.get(name) != Some(commit)
                || (new_default && is_default(name, listing))
                || means(name).is_some_and(|meant| orphaned.contains(meant.as_str()))
        };
        let read = listing
            .refs
            .iter()
            .filter(|(name, commit)| must_read(name, commit))
            .map(|(name, commit)| (name.clone(), commit.clone()))
            .collect();
        Self { read, removed }
    }

    fn is_empty(&self) -> bool {
        self.read.is_empty() && self.removed.is_empty()
    }
}

fn is_default(name: &str, listing: &Listing) -> bool {
    name.strip_prefix("refs/heads/") == listing.default_branch.as_deref()
}

/// The normalized version that a ref's name stands for.
fn means(name: &str) -> Option<String> {
    if let Some(tag) = name.strip_prefix("refs/tags/") {
        tag_version(tag).ok().map(|version| version.normalized)
    } else {
        branch_version(name.strip_prefix("refs/heads/")?)
            .ok()
            .map(|version| version.normalized)
    }
}

async fn read_refs(
    context: &JobContext,
    mirror: &Mirror,
    refs: Vec<(String, String)>,
) -> Result<Vec<ObservedRef>, JobError> {
    let limit = context.registry.limits().manifest;
    let commits: Vec<String> = refs.iter().map(|(_, commit)| commit.clone()).collect();
    let wanted: Vec<(String, String)> = commits
        .iter()
        .map(|commit| (commit.clone(), "composer.json".to_owned()))
        .collect();
    let files = mirror.read_files(&wanted, limit).await?;
    let times = mirror.commit_times(&commits).await?;
    let observed = tokio::task::spawn_blocking(move || {
        refs.into_iter()
            .zip(files)
            .map(|((name, commit), file)| ObservedRef {
                committed_at: times.get(&commit).map_or(0, |time| time.authored),
                manifest: parse(file.content, limit),
                name,
                commit,
            })
            .collect()
    });
    observed
        .await
        .map_err(|error| JobError::Retry(error.to_string()))
}

fn parse(content: FileContent, limit: u64) -> Result<Committed, String> {
    match content {
        FileContent::Found(bytes) => {
            let manifest = Manifest::parse(&bytes).map_err(|error| error.to_string())?;
            let text = String::from_utf8(bytes.to_vec()).map_err(|error| error.to_string())?;
            Ok(Committed { text, manifest })
        }
        FileContent::Missing | FileContent::Folder => Err("there is no composer.json".to_owned()),
        FileContent::NoCommit => Err("it does not point to a commit".to_owned()),
        FileContent::TooLarge(size) => Err(format!(
            "composer.json has {size} bytes; at most {limit} are read"
        )),
    }
}

impl Observation {
    fn new(
        listing: Listing,
        removed: BTreeSet<String>,
        changed: Vec<ObservedRef>,
        live: Vec<Version>,
    ) -> Self {
        let root = changed
            .iter()
            .find(|observed| is_default(&observed.name, &listing));
        let root_name = root.map(|observed| match &observed.manifest {
            Ok(committed) => Ok(committed.manifest.name().map(str::to_owned)),
            Err(reason) => Err(reason.clone()),
        });
        Self {
            default_branch: listing.default_branch,
            changed,
            removed,
            live,
            root_name,
        }
    }

    /// The package's name: what composer.json says on the default branch; only where that says nothing, what the
    /// newest tag says that says something (Composer's rule for VCS repositories).
    pub(super) fn name(&self, package: &Package) -> Result<PackageName, JobError> {
        let said = match &self.root_name {
            Some(Ok(Some(name))) => Some(name.clone()),
            _ => package.name.clone().or_else(|| self.name_of_some_ref()),
        };
        let branch = self
            .default_branch
            .as_deref()
            .unwrap_or("the default branch");
        let Some(said) = said else {
            let reason = match &self.root_name {
                Some(Err(reason)) => format!("on {branch}: {reason}"),
                _ => format!("composer.json on {branch} has no name"),
            };
            return Err(JobError::Fail(format!(
                "no package name was found in {}: {reason}. Commit a composer.json with a \"name\" and synchronize again",
                package.repository_url
            )));
        };
        let name = PackageName::parse(&said).map_err(|error| {
            JobError::Fail(format!(
                "composer.json on {branch} names the package {said:?}: {error}"
            ))
        })?;
        match &package.name {
            Some(known) if known != name.as_str() => Err(JobError::Fail(format!(
                "composer.json on {branch} now names the package {name}, but it is published as {known}. \
                 Everything published stays. Change the name back, or remove {known} and add the repository again"
            ))),
            _ => Ok(name),
        }
    }

    fn name_of_some_ref(&self) -> Option<String> {
        let mut named: Vec<_> = self
            .changed
            .iter()
            .filter_map(|observed| {
                let name = observed.manifest.as_ref().ok()?.manifest.name()?;
                Some((observed.committed_at, &observed.name, name))
            })
            .collect();
        named.sort_unstable();
        named.last().map(|(_, _, name)| (*name).to_owned())
    }
}

async fn known_host_keys(
    context: &JobContext,
    url: &RepositoryUrl,
) -> Result<Vec<HostKey>, JobError> {
    let Some(host) = HostKey::host_of(url) else {
        return Ok(Vec::new());
    };
    let rows = ssh_host_keys::list(&mut context.registry.database().read().await?, &host).await?;
    Ok(rows
        .into_iter()
        .map(|row| HostKey {
            host: row.host,
            algorithm: row.algorithm,
            public_key: row.public_key,
        })
        .collect())
}

async fn accept_host_keys(context: &JobContext, keys: &[HostKey]) -> Result<(), JobError> {
    if keys.is_empty() {
        return Ok(());
    }
    let now = context.registry.now();
    let mut transaction = context.registry.database().write().await?;
    for key in keys {
        ssh_host_keys::insert(
            &mut transaction,
            &key.host,
            &key.algorithm,
            &key.public_key,
            now,
        )
        .await?;
        let detail =
            serde_json::json!({ "algorithm": key.algorithm, "fingerprint": key.fingerprint() });
        audit::record(
            &context.registry,
            &mut transaction,
            &Actor::Job("SyncPackage"),
            audit::Entry {
                organization_id: None,
                action: "ssh-host-key.accept",
                subject: &key.host,
                detail,
            },
        )
        .await?;
    }
    transaction.commit().await?;
    Ok(())
}

impl From<VcsError> for JobError {
    fn from(error: VcsError) -> Self {
        if error.is_permanent() {
            Self::Fail(error.to_string())
        } else {
            Self::Retry(error.to_string())
        }
    }
}
