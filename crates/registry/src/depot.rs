//! Depots: folders of git mirrors, of which machines on their own have one each.
//!
//! What upstream no longer has may be in the mirrors of one depot only. So every published commit says out of which
//! depot it was published, and every depot when somebody gave a sign of life on it last.

use std::sync::atomic::Ordering;

use kapelle_storage::db::depots::{self, Depot};
use kapelle_storage::db::package_references::PackageReference;
use kapelle_storage::{Handle, StorageError};

use crate::clock::{HOUR, MINUTE, Millis, SECOND};
use crate::registry::Registry;

/// A depot whose workers have given no sign of life for so long leaves its jobs to others.
pub(crate) const ABSENT_AFTER: Millis = MINUTE;
/// A depot on which nobody has given a sign of life for so long is given up, and what only it had is lost.
pub(crate) const GONE_AFTER: Millis = HOUR;
/// A process that does not stay gives its sign of life this often while it works.
const ATTENDANCE: Millis = 30 * SECOND;

impl Registry {
    /// The name of this process's folder of mirrors.
    pub fn depot(&self) -> &str {
        self.parts.git.depot()
    }

    /// Says, unless it was said lately, that there is somebody on this process's depot: whoever publishes out of it.
    pub(crate) async fn attend(&self, node: &str) -> Result<(), StorageError> {
        let passed = self.passed();
        if passed - self.attended_at.load(Ordering::SeqCst) < ATTENDANCE {
            return Ok(());
        }
        let mut transaction = self.database().write().await?;
        depots::beat(&mut transaction, self.depot(), node, false, self.now()).await?;
        transaction.commit().await?;
        self.attended_at.store(passed, Ordering::SeqCst);
        Ok(())
    }

    /// Another depot that has the commit and is not given up.
    pub(crate) async fn keeper(
        &self,
        on: &mut impl Handle,
        published: &PackageReference,
    ) -> Result<Option<Depot>, StorageError> {
        let Some(name) = published
            .depot
            .as_deref()
            .filter(|name| *name != self.depot())
        else {
            return Ok(None);
        };
        let depot = depots::find(on, name).await?;
        Ok(depot.filter(|depot| depot.seen_at > self.now() - GONE_AFTER))
    }

    /// Whether somebody works on a depot now.
    pub(crate) fn is_attended(&self, depot: &Depot) -> bool {
        depot.works_at > self.now() - ABSENT_AFTER
    }
}
