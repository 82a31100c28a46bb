//! Every stored document: the roots, whether the others have their packages, their dates, and who was told of them.

use kapelle_storage::db::documents::{self as rows, ListedDocument};
use kapelle_storage::db::packages;
use serde_json::Value;

use super::documents::{Unpacked, unpack};
use super::sequence::Sequence;
use super::walk::{Look, PAGE, Suspects, Walk};
use super::{About, Checked, Finding, Kind, VerifyError};
use crate::clock::{DAY, SECOND};
use crate::document::{self, ROOT, root};

/// Looks at every document there is, deleted ones included.
pub(super) async fn check(walk: &Walk<'_>, sequence: &Sequence) -> Result<(), VerifyError> {
    let database = walk.registry.database();
    walk.enter(
        "documents",
        rows::count_all(&mut database.read().await?).await?,
    );
    let mut after = (0, String::new());
    loop {
        let mut connection = database.read().await?;
        let page = rows::list_all(&mut connection, (after.0, &after.1), PAGE).await?;
        drop(connection);
        let Some(last) = page.last() else {
            return Ok(());
        };
        after = (last.organization_id, last.path.clone());
        for row in &page {
            one(walk, sequence, row).await?;
            walk.step();
        }
    }
}

async fn one(
    walk: &Walk<'_>,
    sequence: &Sequence,
    row: &ListedDocument,
) -> Result<(), VerifyError> {
    walk.count(Checked {
        documents: 1,
        ..Checked::default()
    });
    let (id, path) = (row.organization_id, row.path.as_str());
    let about = walk.about_organization(id).document(path);
    if row.last_modified > (walk.now + DAY) / SECOND {
        let mut suspects = Suspects::default();
        suspects.note(Finding::new(
            Kind::DocumentAhead,
            about.clone(),
            "its date is more than a day ahead of the clock, which was set back",
            "nothing: its next date is one second later",
        ));
        walk.report(suspects);
    }
    if row.deleted {
        return Ok(());
    }
    if path == ROOT {
        walk.confirm(about.clone(), async || look_at_root(walk, id, &about).await)
            .await
    } else {
        walk.confirm(about.clone(), async || {
            look_for_package(walk, sequence, id, path, &about).await
        })
        .await
    }
}

/// Whoever changes which packages there are clears the root in the same transaction.
async fn look_at_root(
    walk: &Walk<'_>,
    organization_id: i64,
    about: &About,
) -> Result<Look<Option<i64>>, VerifyError> {
    let mut connection = walk.registry.database().read().await?;
    let row = rows::find(&mut connection, organization_id, ROOT).await?;
    drop(connection);
    let mut look = Look {
        state: row.as_ref().map(|row| row.last_modified),
        ..Look::default()
    };
    let wrong = match unpack(row, true) {
        Ok(None) | Err((Kind::DocumentMissing, _)) => None,
        Ok(Some(document)) if says_what_is_there(walk, organization_id, &document).await? => None,
        Ok(Some(_)) => Some((
            Kind::DocumentDiffers,
            "it does not name the packages that there are".to_owned(),
        )),
        Err(wrong) => Some(wrong),
    };
    if let Some((kind, finding)) = wrong {
        let advice = "remove a package and undo that: it is made anew then";
        look.suspects
            .broken(Finding::new(kind, about.clone(), finding, advice));
    }
    Ok(look)
}

/// A root names all packages or, where they are too many, none.
async fn says_what_is_there(
    walk: &Walk<'_>,
    organization_id: i64,
    document: &Unpacked,
) -> Result<bool, VerifyError> {
    let Some(slug) = walk.slug(organization_id) else {
        return Ok(true);
    };
    let said: Value = serde_json::from_slice(&document.body).unwrap_or_default();
    let mut names = None;
    if let Some(listed) = said["available-packages"].as_array() {
        let mut connection = walk.registry.database().read().await?;
        // One more than it names: nobody needs to know how many more there are.
        let limit = i64::try_from(listed.len()).unwrap_or(i64::MAX - 1) + 1;
        let all = packages::names(&mut connection, organization_id, 0, limit).await?;
        let mut all: Vec<String> = all.into_iter().map(|named| named.name).collect();
        all.sort_unstable();
        names = Some(all);
    }
    let repository = format!("{}repo/{slug}", document.base_url);
    Ok(said == root::root(&repository, names))
}

async fn look_for_package(
    walk: &Walk<'_>,
    sequence: &Sequence,
    organization_id: i64,
    path: &str,
    about: &About,
) -> Result<Look<Option<i64>>, VerifyError> {
    let mut connection = walk.registry.database().read().await?;
    let row = rows::summary(&mut connection, organization_id, path).await?;
    let Some(row) = row.filter(|row| !row.deleted) else {
        return Ok(Look::default());
    };
    let mut look = Look {
        state: Some(row.last_modified),
        ..Look::default()
    };
    let package = match document::package_of(path) {
        Some(name) => {
            packages::find_by_name(&mut connection, organization_id, name.as_str()).await?
        }
        None => None,
    };
    drop(connection);
    if package.is_none() {
        look.suspects.broken(Finding::new(
            Kind::DocumentOrphaned,
            about.clone(),
            "it is served although its package is not there",
            "undo the removal of the package and remove it again",
        ));
        return Ok(look);
    }
    let name = path.trim_start_matches("p2/").trim_end_matches(".json");
    let unheard = sequence.judge(walk, organization_id, name, row.last_modified);
    if let Some(finding) = unheard.await? {
        look.suspects.broken(Finding::new(
            Kind::DocumentUnannounced,
            about.clone(),
            finding,
            "remove the package and undo that, and report this as a fault of Kapelle",
        ));
    }
    Ok(look)
}
