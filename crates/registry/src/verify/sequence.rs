//! The change sequence: whoever follows it learns of everything, and in the order of the numbers.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::sync::{Mutex, MutexGuard, PoisonError};

use kapelle_storage::db::changes::{self, Change};

use super::walk::{PAGE, Suspects, Walk};
use super::{About, Checked, Finding, Kind, VerifyError};
use crate::clock::{DAY, HOUR, MINUTE, Millis};

/// Places of the sequence in a millisecond.
const PLACES: i64 = 10;
/// New entries after which old ones of the same name are dropped.
const SLACK: usize = 1 << 16;

/// What the sequence said when the run began, and has said since.
pub(super) struct Sequence {
    /// The place of the oldest change that is kept.
    oldest: i64,
    /// The place of the newest when the run began.
    newest: i64,
    /// How many there were between them.
    count: i64,
    announced: Mutex<Announced>,
}

/// The last word about each package that is in the sequence: eight bytes for each.
#[derive(Default)]
struct Announced {
    /// A name's hash; the lowest bit is set where the last word is that it was deleted. Sorted but for the newest.
    words: Vec<u64>,
    sorted: usize,
    /// The place up to which it knows all changes.
    until: i64,
}

impl Announced {
    fn hear(&mut self, change: &Change) {
        self.until = change.seq;
        if change.subject == "package" {
            let is_deleted = u64::from(change.action == "delete");
            self.words
                .push(hash(change.organization_id, &change.name) | is_deleted);
            if self.words.len() > 2 * self.sorted + SLACK {
                self.sort();
            }
        }
    }

    /// Keeps the last word of each name.
    fn sort(&mut self) {
        self.words.reverse();
        self.words.sort_by_key(|word| word & !1);
        self.words.dedup_by_key(|word| *word & !1);
        self.sorted = self.words.len();
    }

    /// Whether the last word is that it was deleted; `None`: it is not in the sequence.
    fn last_word(&mut self, organization_id: i64, name: &str) -> Option<bool> {
        if self.sorted != self.words.len() {
            self.sort();
        }
        let wanted = hash(organization_id, name);
        let found = self.words.binary_search_by_key(&wanted, |word| word & !1);
        found.ok().map(|at| self.words[at] & 1 == 1)
    }
}

fn hash(organization_id: i64, name: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    (organization_id, name).hash(&mut hasher);
    hasher.finish() & !1
}

impl Sequence {
    /// Reads the whole sequence, of which the last seven days are kept.
    pub(super) async fn read(walk: &Walk<'_>) -> Result<Self, VerifyError> {
        let mut connection = walk.registry.database().read().await?;
        let oldest = changes::oldest(&mut connection).await?;
        let newest = changes::latest(&mut connection).await?;
        let count = changes::count(&mut connection, oldest, newest).await?;
        drop(connection);
        walk.enter("changes", count);
        let sequence = Self {
            oldest,
            newest,
            count,
            announced: Mutex::default(),
        };
        let heard = sequence.catch_up(walk).await?;
        walk.count(Checked {
            changes: heard,
            ..Checked::default()
        });
        sequence.compare_with_clock(walk);
        Ok(sequence)
    }

    /// Hears what was said since, and gives how much that was.
    async fn catch_up(&self, walk: &Walk<'_>) -> Result<u64, VerifyError> {
        let mut heard = 0;
        loop {
            let since = self.announced().until;
            let mut connection = walk.registry.database().read().await?;
            let page = changes::since(&mut connection, since, PAGE).await?;
            if page.is_empty() {
                return Ok(heard);
            }
            heard += page.len() as u64;
            let mut announced = self.announced();
            for change in page.iter().filter(|change| change.seq > since) {
                announced.hear(change);
            }
        }
    }

    fn announced(&self) -> MutexGuard<'_, Announced> {
        self.announced
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn compare_with_clock(&self, walk: &Walk<'_>) {
        if self.newest / PLACES <= walk.now + HOUR {
            return;
        }
        let mut suspects = Suspects::default();
        suspects.note(Finding::new(
            Kind::SequenceAhead,
            About::default(),
            "the newest change is from the future: the clock was set back",
            "nothing: the sequence goes on from there",
        ));
        walk.report(suspects);
    }

    /// What is wrong with what the sequence says of a document that is there, written at `last_modified` (in seconds).
    pub(super) async fn judge(
        &self,
        walk: &Walk<'_>,
        organization_id: i64,
        name: &str,
        last_modified: i64,
    ) -> Result<Option<&'static str>, VerifyError> {
        if self.last_word(organization_id, name) == Some(false) {
            return Ok(None);
        }
        self.catch_up(walk).await?;
        Ok(match self.last_word(organization_id, name) {
            Some(true) => Some("followers of the changes were told that it is gone"),
            None if self.is_kept(walk, organization_id, last_modified) => {
                Some("followers of the changes were never told of it")
            }
            Some(false) | None => None,
        })
    }

    fn last_word(&self, organization_id: i64, name: &str) -> Option<bool> {
        self.announced().last_word(organization_id, name)
    }

    /// Whether the change that made a document has to be there still. A document's date may be somewhat ahead of that.
    fn is_kept(&self, walk: &Walk<'_>, organization_id: i64, last_modified: i64) -> bool {
        let oldest: Millis = self.oldest / PLACES;
        let is_whole = walk
            .created_at(organization_id)
            .is_some_and(|created_at| oldest <= created_at + MINUTE);
        is_whole || last_modified * 1_000 > oldest + DAY
    }

    /// Nothing may have come in between what was there when the run began: who had read that would never see it.
    pub(super) async fn end(&self, walk: &Walk<'_>) -> Result<(), VerifyError> {
        let mut connection = walk.registry.database().read().await?;
        let oldest = changes::oldest(&mut connection).await?;
        let count = changes::count(&mut connection, self.oldest, self.newest).await?;
        if oldest == self.oldest && count != self.count {
            let mut suspects = Suspects::default();
            suspects.broken(Finding::new(
                Kind::SequenceDisordered,
                About::default(),
                format!(
                    "{} changes came in behind a newer one while this ran",
                    count - self.count
                ),
                "restart all servers and workers, and report this as a fault of Kapelle",
            ));
            walk.report(suspects);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(seq: i64, action: &str, name: &str) -> Change {
        Change {
            seq,
            organization_id: 1,
            subject: "package".to_owned(),
            action: action.to_owned(),
            name: name.to_owned(),
        }
    }

    #[test]
    fn the_last_word_counts_however_many_there_are() {
        let mut announced = Announced::default();
        for seq in 0..i64::try_from(2 * SLACK).unwrap() {
            let name = format!("acme/{}", seq % 1_000);
            let action = if seq % 2 == 0 { "update" } else { "delete" };
            announced.hear(&change(seq, action, &name));
        }
        announced.hear(&change(1 << 40, "delete", "acme/998"));
        announced.hear(&change(1 << 41, "update", "acme/999"));
        assert_eq!(announced.last_word(1, "acme/0"), Some(false));
        assert_eq!(announced.last_word(1, "acme/1"), Some(true));
        assert_eq!(announced.last_word(1, "acme/998"), Some(true));
        assert_eq!(announced.last_word(1, "acme/999"), Some(false));
        assert_eq!(announced.last_word(2, "acme/0"), None);
        assert_eq!(announced.words.len(), 1_000);
    }
}
