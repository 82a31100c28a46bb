//! Brings a mirror up to date: only the refs that changed, without losing what they were before.

use std::collections::{BTreeMap, BTreeSet};

use crate::classify;
use crate::connection::Connection;
use crate::error::VcsError;
use crate::git::Access;
use crate::host_key::HostKey;
use crate::lock::Lock;
use crate::mirror::Mirror;
use crate::refname;
use crate::refs;
use crate::remote::redirected;
use crate::sweep::Sweep;
use crate::url::RepositoryUrl;

/// What a fetch has done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fetched {
    /// Each wanted ref with the commit it is at in the mirror now: the announced one, or a newer one if upstream
    /// moved it in between.
    pub refs: BTreeMap<String, String>,
    /// How many of them had to be fetched.
    pub received: usize,
    /// As in [`Listing`](crate::Listing).
    pub new_host_keys: Vec<HostKey>,
    /// As in [`Listing`](crate::Listing).
    pub redirected_to: Option<RepositoryUrl>,
}

impl Mirror {
    /// Fetches the wanted refs (full name, commit as [`list_refs`](crate::Git::list_refs) announced it) as far as
    /// they are not there yet, and drops the removed ones. Nobody is contacted if nothing is missing.
    ///
    /// Commits that a ref moves away from stay in the mirror for ever. Waits while another process fetches.
    pub async fn fetch(
        &self,
        access: &Access<'_>,
        wanted: &[(String, String)],
        removed: &[String],
    ) -> Result<Fetched, VcsError> {
        check(wanted, removed)?;
        let lock = self.lock().await?;
        self.prepare().await?;
        let announced: BTreeMap<&str, &str> = wanted
            .iter()
            .map(|(name, oid)| (name.as_str(), oid.as_str()))
            .collect();
        let is_announced = |name: &str, oid: &str| announced.get(name) == Some(&oid);
        let files_before = self.read_refs().await?;
        let before = self
            .peel(&files_before, |name, oid| {
                is_announced(name, oid).then(|| oid.to_owned())
            })
            .await?;
        let missing: Vec<_> = wanted
            .iter()
            .filter(|(name, oid)| before.get(name) != Some(oid))
            .map(|(name, _)| name.as_str())
            .collect();
        self.keep(&before, &missing, removed).await?;
        let mut fetched = Fetched {
            received: missing.len(),
            ..Fetched::default()
        };
        if !missing.is_empty() {
            let refspecs: String = missing
                .iter()
                .flat_map(|name| ["+", name, ":", name, "\n"])
                .collect();
            self.receive(access, &refspecs, &lock, &mut fetched).await?;
        }
        let files = self.read_refs().await?;
        if files.values().filter(|one| one.is_loose).count() >= refs::MANY_FILES {
            self.pack_refs().await?;
        }
        if !missing.is_empty() {
            self.gather_packs(&lock).await?;
        }
        let after = self
            .peel(&files, |name, oid| {
                if is_announced(name, oid) {
                    return Some(oid.to_owned());
                }
                let is_same = files_before.get(name).is_some_and(|one| one.oid == oid);
                before.get(name).filter(|_| is_same).cloned()
            })
            .await?;
        for (name, _) in wanted {
            let oid = after.get(name).ok_or_else(|| VcsError::GitFailed {
                doing: format!("store {name:?} of {}", access.url),
                detail: "it was fetched but is not in the mirror".to_owned(),
            })?;
            fetched.refs.insert(name.clone(), oid.clone());
        }
        Ok(fetched)
    }

    /// In one transaction: holds the commits that the refs are at, and drops the refs that are gone or in the way.
    async fn keep(
        &self,
        before: &BTreeMap<String, String>,
        moving: &[&str],
        removed: &[String],
    ) -> Result<(), VcsError> {
        let gone = gone(before, moving, removed);
        let left: BTreeSet<_> = moving
            .iter()
            .copied()
            .chain(gone.iter().copied())
            .filter_map(|name| before.get(name))
            .collect();
        let mut input = Vec::new();
        for oid in left {
            input.extend_from_slice(format!("update {}\0{oid}\0\0", kept(oid)).as_bytes());
        }
        for name in gone {
            input.extend_from_slice(format!("delete {name}\0\0").as_bytes());
        }
        if input.is_empty() {
            return Ok(());
        }
        let doing = "keep the commits of moved refs";
        let command = self.command(doing, &["update-ref", "--stdin", "-z"]);
        let finished = command.input(input).run(1024).await?;
        self.judge(doing, &finished)
    }

    /// Fetches what `refspecs` say, one a line. For the holder of the lock.
    pub(crate) async fn receive(
        &self,
        access: &Access<'_>,
        refspecs: &str,
        lock: &Lock,
        fetched: &mut Fetched,
    ) -> Result<(), VcsError> {
        match self.receive_once(access, refspecs, lock, fetched).await {
            Err(VcsError::Redirected { detail, .. }) => {
                let url = self.git().redirect_target(access, detail).await?;
                self.receive_once(&redirected(access, &url), refspecs, lock, fetched)
                    .await?;
                fetched.redirected_to = Some(url);
                Ok(())
            }
            outcome => outcome,
        }
    }

    async fn receive_once(
        &self,
        access: &Access<'_>,
        refspecs: &str,
        lock: &Lock,
        fetched: &mut Fetched,
    ) -> Result<(), VcsError> {
        let connection = Connection::open(self.git(), access).await?;
        let doing = format!("fetch from {}", access.url);
        let config = self.git().config();
        let command = self
            .command(&doing, FETCH)
            .input(refspecs.to_owned().into_bytes())
            .output_to(self.share(lock)?)
            .largest_file(config.max_fetch)
            .limit(config.fetch_timeout);
        let sweep = Sweep::of(self.path());
        let finished = connection.prepare(command).run(0).await?;
        if !finished.success && self.unfinished_pack().await? >= config.max_fetch {
            return Err(VcsError::TooLarge {
                subject: format!("what git received from {}", access.url),
                limit: config.max_fetch,
            });
        }
        if !finished.success && classify::is_corrupt(&finished.stderr) {
            // Only our own look decides: what is damaged may be upstream's, and upstream says what it likes.
            self.verify().await?;
        }
        let judged = connection.judge(&doing, &finished);
        judged.map_err(|error| broken_off(error, &connection, &doing))?;
        sweep.not_needed();
        fetched.new_host_keys = connection.new_host_keys()?;
        Ok(())
    }
}

/// It has just listed its refs, so it is a repository: what it says now may be a proxy's page, and go by.
fn broken_off(error: VcsError, connection: &Connection, doing: &str) -> VcsError {
    match error {
        VcsError::NotARepository { detail, .. } => VcsError::Interrupted {
            host: connection.context.host(),
            doing: doing.to_owned(),
            detail,
        },
        other => other,
    }
}

/// Only what is asked for, whatever the configuration: no tags, no submodules, no pruning, nothing collected.
const FETCH: &[&str] = &[
    "fetch",
    "--quiet",
    "--force",
    "--stdin",
    "--no-tags",
    "--no-prune",
    "--no-recurse-submodules",
    "--no-auto-maintenance",
    "--no-write-fetch-head",
    "--no-write-commit-graph",
    "--no-show-forced-updates",
];

/// The ref that holds a commit for ever.
pub(crate) fn kept(oid: &str) -> String {
    format!("refs/kapelle/keep/{oid}")
}

/// Names go into lists of instructions, so they are checked again here, whoever made the lists.
fn check(wanted: &[(String, String)], removed: &[String]) -> Result<(), VcsError> {
    let names = wanted.iter().map(|(name, _)| name).chain(removed);
    for name in names {
        if refname::check(name).is_err() {
            return Err(VcsError::InvalidName {
                kind: "ref",
                subject: name.clone(),
            });
        }
    }
    wanted
        .iter()
        .try_for_each(|(_, oid)| refname::check_oid(oid))
}

/// Removed refs, and refs whose name is a folder of a new one's name or the other way round.
fn gone<'a>(
    before: &'a BTreeMap<String, String>,
    moving: &[&'a str],
    removed: &'a [String],
) -> BTreeSet<&'a str> {
    let new: BTreeSet<&str> = moving.iter().copied().collect();
    let above = new
        .iter()
        .filter_map(|name| refname::blocked_by(name, |other| before.contains_key(other)));
    let below = before
        .keys()
        .filter(|name| refname::blocked_by(name, |other| new.contains(other)).is_some())
        .map(String::as_str);
    let removed = removed
        .iter()
        .map(String::as_str)
        .filter(|name| before.contains_key(*name) && !new.contains(name));
    above.chain(below).chain(removed).collect()
}
