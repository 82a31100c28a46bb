//! Brings a mirror up to date: only the refs that changed, without losing what they were before.

use std::collections::BTreeSet;

use crate::classify;
use crate::connection::Connection;
use crate::error::VcsError;
use crate::git::Access;
use crate::host_key::HostKey;
use crate::listing::Listing;
use crate::lock::Lock;
use crate::mirror::Mirror;
use crate::refname;
use crate::refs::Ref;
use crate::remote::redirected;
use crate::sweep::Sweep;
use crate::url::RepositoryUrl;

/// What a fetch has done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fetched {
    /// How many refs had to be fetched.
    pub received: usize,
    /// As in [`Listing`](crate::Listing).
    pub new_host_keys: Vec<HostKey>,
    /// As in [`Listing`](crate::Listing).
    pub redirected_to: Option<RepositoryUrl>,
}

impl Mirror {
    /// Fetches the wanted refs as they were listed, as far as they are not there yet, and drops the removed ones. Nobody is
    /// contacted if nothing is missing. [`VcsError::Changed`]: upstream has moved one of them since, and no longer gives
    /// away what it was at.
    ///
    /// Commits that a ref moves away from stay in the mirror for ever. Waits while another process fetches.
    pub async fn fetch(
        &self,
        access: &Access<'_>,
        wanted: &Listing,
        removed: &[String],
    ) -> Result<Fetched, VcsError> {
        check(wanted, removed)?;
        let lock = self.lock().await?;
        self.prepare().await?;
        let mut refs = self.read_refs().await?;
        if refs.are_scattered() {
            // Before git sees what a crash may have left of their files.
            self.write_refs(refs).await?;
            refs = self.read_refs().await?;
        }
        let is_missing =
            |(name, commit): &(&String, &String)| refs.commit(name) != Some(commit.as_str());
        let missing: Vec<_> = wanted.refs.iter().filter(is_missing).collect();
        let mut fetched = Fetched {
            received: missing.len(),
            ..Fetched::default()
        };
        if !missing.is_empty() {
            let objects = missing
                .iter()
                .map(|(name, commit)| wanted.object(name, commit));
            self.receive(access, &objects.collect(), &lock, &mut fetched)
                .await?;
        }
        for name in removed {
            refs.remove(name);
        }
        for (name, commit) in missing {
            refs.set(name, Ref::at(wanted.object(name, commit), commit));
        }
        if refs.is_changed() {
            self.write_refs(refs).await?;
        }
        if fetched.received > 0 {
            self.gather_packs(&lock).await?;
        }
        Ok(fetched)
    }

    /// Fetches objects with everything that they lead to; git verifies that all of it is there. No ref leads to them yet.
    /// For the holder of the lock.
    pub(crate) async fn receive(
        &self,
        access: &Access<'_>,
        objects: &BTreeSet<&str>,
        lock: &Lock,
        fetched: &mut Fetched,
    ) -> Result<(), VcsError> {
        match self.receive_once(access, objects, lock, fetched).await {
            Err(VcsError::Redirected { detail, .. }) => {
                let url = self.git().redirect_target(access, detail).await?;
                self.receive_once(&redirected(access, &url), objects, lock, fetched)
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
        objects: &BTreeSet<&str>,
        lock: &Lock,
        fetched: &mut Fetched,
    ) -> Result<(), VcsError> {
        let connection = Connection::open(self.git(), access).await?;
        let doing = format!("fetch from {}", access.url);
        let config = self.git().config();
        let input: String = objects.iter().flat_map(|oid| [*oid, "\n"]).collect();
        let command = self
            .command(&doing, FETCH)
            .input(input.into_bytes())
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
        if finished.stderr.contains(SHALLOW) {
            // To git that is no failure.
            return Err(VcsError::Shallow {
                url: access.url.to_string(),
            });
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

/// What git says when it has taken no objects because the server has not all that they lead to.
const SHALLOW: &str = "shallow roots are not allowed to be updated";

/// Only what is asked for, whatever the configuration: no tags, no submodules, no pruning, nothing collected. Asked for by
/// the names of objects, no refs are listed again, none are matched with patterns (which takes the square of their number)
/// and none are written to a file each.
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

/// Names go into files and lists of instructions, so they are checked again here, whoever made the lists.
fn check(wanted: &Listing, removed: &[String]) -> Result<(), VcsError> {
    for name in wanted.refs.keys().chain(removed) {
        if refname::check(name).is_err() {
            return Err(VcsError::InvalidName {
                kind: "ref",
                subject: name.clone(),
            });
        }
    }
    let mut objects = wanted.refs.values().chain(wanted.tags.values());
    objects.try_for_each(|oid| refname::check_oid(oid))
}
