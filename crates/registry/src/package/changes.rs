//! What mirrors are told: which packages changed and which are gone.

use kapelle_storage::db::changes;

use super::PackageError;
use crate::access;
use crate::actor::Actor;
use crate::registry::Registry;

/// A package's changes since `since` for mirrors, as packagist.org's `metadata/changes.json` gives them.
#[derive(Debug, PartialEq, Eq)]
pub enum ChangesFeed {
    /// What changed after `since`, up to and with `until`.
    Actions {
        /// `(action, name, ticks)`; a name may end in `~dev`.
        actions: Vec<(String, String, i64)>,
        /// Where to go on, in ticks of 0.1 ms.
        until: i64,
    },
    /// `since` is too old or too much has changed: read everything again.
    Resync {
        /// Where to go on, in ticks of 0.1 ms.
        until: i64,
    },
}

/// Most actions that one answer lists.
const FEED: i64 = 100_000;

/// The changes of an organization's packages since `since` (ticks of 0.1 ms since 1970).
pub async fn changes_since(
    registry: &Registry,
    actor: &Actor,
    organization_id: i64,
    since: i64,
) -> Result<ChangesFeed, PackageError> {
    access::read(actor, organization_id)?;
    let mut connection = registry.database().read().await?;
    // Never from the clock: a change that is being written may still get an earlier number than "now".
    let until = changes::latest(&mut connection).await?;
    let oldest = changes::oldest(&mut connection).await?;
    let page =
        changes::since_for_organization(&mut connection, organization_id, since, Some(until), FEED)
            .await?;
    if since < oldest || i64::try_from(page.len()).unwrap_or(FEED) >= FEED {
        return Ok(ChangesFeed::Resync { until });
    }
    let actions = page
        .into_iter()
        .filter(|change| change.subject == "package")
        .map(|change| (change.action, change.name, change.seq))
        .collect();
    Ok(ChangesFeed::Actions { actions, until })
}
