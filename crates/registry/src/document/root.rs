//! `packages.json`: where everything else is found, with complete URLs.

use kapelle_storage::db::changes::{self, Change};
use kapelle_storage::db::organizations::Organization;
use kapelle_storage::db::{documents, packages};
use kapelle_storage::{Handle, StorageError};
use serde_json::{Map, Value, json};

use super::compress::Press;
use super::{ATTEMPTS, Document, DocumentError, ROOT};
use crate::registry::Registry;

/// What Composer 1 is told: its protocol is not served, and silence would look like an empty repository.
const COMPOSER_1: &str =
    "Composer 1 cannot read this repository: update to Composer 2 (composer self-update --2).";

/// Changes that are looked at; more in the time of one rendering mean that it is out of date.
const LOOKED_AT: i64 = 1_000;

/// Renders an organization's root, stores it, and gives what it stored: a moment later another process may have cleared
/// it, or made it for another address.
pub(super) async fn render(
    registry: &Registry,
    organization: &Organization,
) -> Result<Document, DocumentError> {
    for _ in 0..ATTEMPTS {
        if let Some(document) = try_render(registry, organization).await? {
            return Ok(document);
        }
    }
    Err(DocumentError::Failed(
        "the packages kept changing while packages.json was made".to_owned(),
    ))
}

/// `None`: a package appeared or disappeared meanwhile, and nothing was stored.
async fn try_render(
    registry: &Registry,
    organization: &Organization,
) -> Result<Option<Document>, DocumentError> {
    let base_url = registry.public_url();
    let mut connection = registry.database().read().await?;
    let point = changes::latest(&mut connection).await?;
    let limit = registry.limits().available_packages;
    let names = names(&mut connection, organization.id, limit).await?;
    drop(connection);
    let root = root(&registry.repository_url(&organization.slug), names);
    let body =
        serde_json::to_vec(&root).map_err(|error| DocumentError::Failed(error.to_string()))?;
    let press = move |press: &mut Press| press.compress(&body).map(|made| (made.seal(&body), made));
    let turn = registry.presses.turn().await;
    let pressed = registry.presses.work(turn, press).await.flatten();
    let (seal, compressed) = pressed.map_err(|error| DocumentError::Failed(error.to_string()))?;

    let mut transaction = registry.database().write_reserved().await?;
    // Whoever changed the names after they were read has said so by now, and nobody does before our commit.
    changes::hold(&mut transaction).await?;
    let since =
        changes::since_for_organization(&mut transaction, organization.id, point, None, LOOKED_AT)
            .await?;
    if i64::try_from(since.len()).unwrap_or(LOOKED_AT) >= LOOKED_AT
        || since.iter().any(|change| change.subject == "root")
    {
        return Ok(None);
    }
    let body = documents::Body {
        base_url: base_url.as_str(),
        gzip: &compressed.gzip,
        zstd: &compressed.zstd,
        seal: &seal,
    };
    let seconds = registry.now().div_euclid(1_000);
    let dated = documents::put(&mut transaction, organization.id, ROOT, body, seconds).await?;
    transaction.commit().await?;
    Ok(Some(Document::new(compressed.gzip, compressed.zstd, dated)))
}

/// The names of all packages of an organization; nothing where there are more than `limit`, whose names nobody looks at.
pub(crate) async fn names(
    on: &mut impl Handle,
    organization_id: i64,
    limit: usize,
) -> Result<Option<Vec<String>>, StorageError> {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX - 1);
    if packages::are_more_than(on, organization_id, limit).await? {
        return Ok(None);
    }
    let found = packages::names(on, organization_id, 0, limit).await?;
    let mut names: Vec<String> = found.into_iter().map(|named| named.name).collect();
    names.sort_unstable();
    Ok(Some(names))
}

/// What the root says. `repository` is the URL of the organization's repository; `names` are those of all its packages,
/// or nothing where they are too many.
pub(crate) fn root(repository: &str, names: Option<Vec<String>>) -> Value {
    let mut root = Map::new();
    root.insert("packages".into(), json!([]));
    root.insert(
        "metadata-url".into(),
        json!(format!("{repository}/p2/%package%.json")),
    );
    if let Some(names) = names.filter(|names| !names.is_empty()) {
        root.insert("available-packages".into(), json!(names));
    }
    root.insert(
        "metadata-changes-url".into(),
        json!(format!("{repository}/metadata/changes.json")),
    );
    root.insert(
        "notify-batch".into(),
        json!(format!("{repository}/downloads")),
    );
    root.insert(
        "search".into(),
        json!(format!("{repository}/search.json?q=%query%&type=%type%")),
    );
    root.insert(
        "list".into(),
        json!(format!("{repository}/packages/list.json")),
    );
    root.insert(
        "providers-api".into(),
        json!(format!("{repository}/providers/%package%.json")),
    );
    let advisories = format!("{repository}/security-advisories");
    root.insert(
        "security-advisories".into(),
        json!({ "metadata": false, "api-url": advisories }),
    );
    root.insert("warning".into(), json!(COMPOSER_1));
    root.insert("warning-versions".into(), json!("<1.999"));
    Value::Object(root)
}

/// The set of names has changed: the root is made anew when it is read next. Gives the change that is to be noted.
pub(crate) async fn clear(
    registry: &Registry,
    transaction: &mut kapelle_storage::Transaction,
    organization_id: i64,
) -> Result<Change, StorageError> {
    // In this order everywhere: who stores the root holds the changes before it, too.
    changes::hold(transaction).await?;
    let seconds = registry.now().div_euclid(1_000);
    documents::clear(transaction, organization_id, ROOT, seconds).await?;
    Ok(Change::new(organization_id, "root", "update", ROOT))
}
