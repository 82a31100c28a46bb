//! Blobs: rows and files in the order of their names, side by side.

use std::cmp::Ordering;
use std::collections::VecDeque;

use futures::stream::BoxStream;
use futures::{TryStreamExt, stream};
use kapelle_storage::blobs::{BlobError, StoredFile};
use kapelle_storage::db::artifacts;
use kapelle_storage::db::blobs::{self as rows, ListedBlob};
use kapelle_storage::db::dists::{self, Dist};

use super::walk::{Look, PAGE, PARALLEL, Suspects, Walk};
use super::{About, Checked, Finding, Kind, VerifyError};
use crate::clock::DAY;
use crate::dist;
use crate::jobs::KEEP_BLOBS;

/// A row, a file of the same name, or both.
struct Pair {
    row: Option<ListedBlob>,
    file: Option<StoredFile>,
}

/// Both lists, merged.
struct Pairs<'a> {
    walk: &'a Walk<'a>,
    rows: VecDeque<ListedBlob>,
    after: Option<Vec<u8>>,
    files: BoxStream<'static, Result<StoredFile, BlobError>>,
    file: Option<StoredFile>,
}

impl<'a> Pairs<'a> {
    fn new(walk: &'a Walk<'a>) -> Self {
        Self {
            walk,
            rows: VecDeque::new(),
            after: Some(Vec::new()),
            files: walk.registry.blobs().walk(),
            file: None,
        }
    }

    async fn next(mut self) -> Result<Option<(Pair, Self)>, VerifyError> {
        self.fill().await?;
        let order = match (self.rows.front(), &self.file) {
            (None, None) => return Ok(None),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(row), Some(file)) => match &file.sha256 {
                None => Ordering::Greater,
                Some(name) => row.sha256.cmp(name),
            },
        };
        let pair = Pair {
            row: if order.is_le() {
                self.rows.pop_front()
            } else {
                None
            },
            file: if order.is_ge() {
                self.file.take()
            } else {
                None
            },
        };
        Ok(Some((pair, self)))
    }

    async fn fill(&mut self) -> Result<(), VerifyError> {
        if self.file.is_none() {
            self.file = self.files.try_next().await?;
        }
        if let Some(after) = self.after.take_if(|_| self.rows.is_empty()) {
            let mut connection = self.walk.registry.database().read().await?;
            let page = rows::list(&mut connection, &after, PAGE).await?;
            self.after = page.last().map(|last| last.sha256.clone());
            self.rows = page.into();
        }
        Ok(())
    }
}

/// Looks at every row and every file.
pub(super) async fn check(walk: &Walk<'_>) -> Result<(), VerifyError> {
    let mut connection = walk.registry.database().read().await?;
    walk.enter("blobs", rows::count(&mut connection).await?);
    drop(connection);
    stream::try_unfold(Pairs::new(walk), Pairs::next)
        .try_for_each_concurrent(PARALLEL, |pair| one(walk, pair))
        .await
}

async fn one(walk: &Walk<'_>, pair: Pair) -> Result<(), VerifyError> {
    if pair.row.is_some() {
        walk.count(Checked {
            blobs: 1,
            ..Checked::default()
        });
        walk.step();
    }
    let is_fine = match (&pair.row, &pair.file) {
        (Some(row), file) if row.referred => {
            let size = file.as_ref().and_then(|file| i64::try_from(file.size).ok());
            size == Some(row.size) && row.state == "live"
        }
        // Announced, or about to be collected.
        (Some(row), _) => row.touched_at >= walk.now - KEEP_BLOBS,
        (None, _) => false,
    };
    if is_fine {
        return Ok(());
    }
    let name = pair.row.map(|row| row.sha256);
    let name = name.or_else(|| pair.file.as_ref().and_then(|file| file.sha256.clone()));
    match (name, pair.file) {
        (Some(sha256), file) => {
            let about = About::default().blob(&sha256);
            let path = file.map(|file| file.path);
            walk.confirm(about, async || look(walk, &sha256, path.as_deref()).await)
                .await
        }
        (None, Some(file)) => {
            unfinished(walk, file);
            Ok(())
        }
        (None, None) => Ok(()),
    }
}

/// Once more, one by one: lists are of different moments.
async fn look(
    walk: &Walk<'_>,
    sha256: &[u8],
    path: Option<&str>,
) -> Result<Look<Option<ListedBlob>>, VerifyError> {
    let mut connection = walk.registry.database().read().await?;
    let row = rows::find_listed(&mut connection, sha256).await?;
    let dists = dists::list_by_blob(&mut connection, sha256, 1).await?;
    drop(connection);
    let mut look = Look {
        state: row.clone(),
        ..Look::default()
    };
    let size = match walk.registry.blobs().size(sha256).await {
        Ok(size) => size.and_then(|size| i64::try_from(size).ok()),
        Err(error) => {
            let about = About::default().blob(sha256);
            let advice = "see to the store, and verify again";
            let finding = Finding::new(Kind::BlobUnreadable, about, error.to_string(), advice);
            look.suspects.broken(finding);
            return Ok(look);
        }
    };
    match (row, dists.first()) {
        (Some(row), Some(dist)) => {
            referred(walk, &row, dist, size, &mut look.suspects).await?;
        }
        (Some(row), None) if row.referred => {
            uploaded(walk, &row, size, &mut look.suspects).await?;
        }
        (Some(row), None) if row.touched_at < walk.now - KEEP_BLOBS => {
            look.suspects.note(Finding::new(
                Kind::BlobUnused,
                About::default().blob(sha256),
                format!("nothing refers to its {} bytes", row.size),
                "nothing: the daily round deletes it",
            ));
        }
        (None, _) if size.is_some() => {
            look.suspects.note(Finding::new(
                Kind::BlobUnknown,
                About::default().blob(sha256),
                format!("nothing knows {}", path.unwrap_or("it")),
                "delete it, unless you are going to restore a database that knows it",
            ));
        }
        _ => {}
    }
    Ok(look)
}

async fn referred(
    walk: &Walk<'_>,
    row: &ListedBlob,
    dist: &Dist,
    size: Option<i64>,
    suspects: &mut Suspects,
) -> Result<(), VerifyError> {
    match size {
        None => {
            let about = walk.about_dist(dist).await?.blob(&row.sha256);
            let advice = if can_be_made_anew(walk, dist).await {
                "the next download makes them anew"
            } else {
                "restore the archives from your backup"
            };
            let finding = "the bytes of its archive are gone";
            suspects.broken(Finding::new(Kind::BlobMissing, about, finding, advice));
        }
        Some(size) if size != row.size => {
            let what = format!("{size} bytes instead of {}", row.size);
            suspects.broken(damaged(walk, dist, &what).await?);
        }
        Some(_) if row.state != "live" => suspects.broken(Finding::new(
            Kind::BlobCondemned,
            walk.about_dist(dist).await?.blob(&row.sha256),
            "its archive is going to be deleted although it is still needed",
            "stop Kapelle, back up the archives, and report this as a fault",
        )),
        Some(_) => {}
    }
    Ok(())
}

/// The blob of an artifact that no dist is served from.
async fn uploaded(
    walk: &Walk<'_>,
    row: &ListedBlob,
    size: Option<i64>,
    suspects: &mut Suspects,
) -> Result<(), VerifyError> {
    let mut connection = walk.registry.database().read().await?;
    let artifact = artifacts::find_by_blob(&mut connection, &row.sha256).await?;
    let Some(artifact) = artifact else {
        return Ok(());
    };
    let about = || About::default().blob(&row.sha256);
    let what = format!("artifact {} ({})", artifact.id, artifact.file_name);
    let advice = "restore the archives from your backup, or upload it again";
    match size {
        None => {
            let finding = format!("the bytes of {what} are gone");
            suspects.broken(Finding::new(Kind::BlobMissing, about(), finding, advice));
        }
        Some(size) if size != row.size => {
            let finding = format!("{what} has {size} bytes instead of {}", row.size);
            suspects.broken(Finding::new(Kind::BlobDamaged, about(), finding, advice));
        }
        Some(_) if row.state != "live" => {
            let finding = format!("{what} is going to be deleted although it is still needed");
            let advice = "stop Kapelle, back up the archives, and report this as a fault";
            suspects.broken(Finding::new(Kind::BlobCondemned, about(), finding, advice));
        }
        Some(_) => {}
    }
    Ok(())
}

/// That an archive's bytes are not those that were stored.
pub(super) async fn damaged(
    walk: &Walk<'_>,
    dist: &Dist,
    what: &str,
) -> Result<Finding, VerifyError> {
    let file = walk.registry.blobs().local_path(&dist.sha256);
    let file = file.map_or_else(
        || format!("its object in {}", walk.registry.blobs()),
        |path| path.display().to_string(),
    );
    let advice = if can_be_made_anew(walk, dist).await {
        format!("move {file} away: the next download makes it anew from the mirror")
    } else {
        format!("restore {file} from your backup")
    };
    Ok(Finding::new(
        Kind::BlobDamaged,
        walk.about_dist(dist).await?.blob(&dist.sha256),
        format!("its archive has {what}"),
        advice,
    ))
}

/// Tries it, unless time is short: then whether the mirror has the commit says enough.
async fn can_be_made_anew(walk: &Walk<'_>, dist: &Dist) -> bool {
    if walk.options.quick {
        let mirror = walk.registry.parts.git.mirror(dist.package_id);
        return mirror.has(&dist.reference).await.unwrap_or(false);
    }
    let _permit = walk.reading.acquire().await;
    dist::rehearse(walk.registry, dist).await.is_ok()
}

fn unfinished(walk: &Walk<'_>, file: StoredFile) {
    if file.modified_at >= walk.now - DAY {
        return;
    }
    let mut suspects = Suspects::default();
    suspects.note(Finding::new(
        Kind::BlobUnfinished,
        About {
            blob: Some(file.path),
            ..About::default()
        },
        format!("{} bytes of a file that was never finished", file.size),
        "delete it",
    ));
    walk.report(suspects);
}
