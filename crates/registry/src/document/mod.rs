//! Finished answers of the Composer repository: found as bytes, made when a package changes.
//!
//! A full-view document is derived data in a table, keyed by organization and path, compressed twice. Reading one
//! is a look into memory, else one indexed read. (URL, `Last-Modified`) identifies bytes for ever: a document that
//! is written again with other bytes gets a later second.

mod compress;
mod package;
mod render;
pub(crate) mod root;

pub(crate) use compress::Presses;
use package::refresh_in_turn;
pub(crate) use package::{ATTEMPTS, bring_back, withdraw};
pub use package::{PackageDocuments, refresh_package};
pub use render::{Links, Material};
pub(crate) use render::{bodies, stored_abandoned};

use std::sync::Arc;

use bytes::Bytes;
use kapelle_composer::PackageName;
use kapelle_storage::StorageError;
use kapelle_storage::db::documents as rows;
use kapelle_storage::db::organizations::Organization;
use kapelle_storage::db::packages;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc2822;
use url::Url;

use crate::access::{self, Denied};
use crate::actor::Actor;
use crate::flights::Flights;
use crate::jobs::JobError;
use crate::organization;
use crate::registry::Registry;

/// The path of an organization's root document.
pub const ROOT: &str = "packages.json";

/// What has become of a document that is not the one that was just stored.
const ANOTHER_ADDRESS: &str = "the document was made for another address by another process: give all servers on one \
                               database the same server.public_url";

/// Who renders what in this process: after a change, or when the public URL is another, many ask for a document at once.
pub(crate) type Renderings = Flights<Rendering>;

/// What is rendered in one go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Rendering {
    /// The root of an organization.
    Root(i64),
    /// Both documents of a package.
    Package(i64),
}

/// One finished answer.
#[derive(Clone, Debug)]
pub struct Document {
    /// Body for `Content-Encoding: gzip`.
    pub gzip: Bytes,
    /// Body for `Content-Encoding: zstd`.
    pub zstd: Bytes,
    /// The value of `Last-Modified`: ASCII, compared for equality and never parsed.
    pub last_modified: Bytes,
}

impl Document {
    /// `last_modified` in seconds since 1970.
    fn new(gzip: Vec<u8>, zstd: Vec<u8>, last_modified: i64) -> Self {
        Self {
            gzip: gzip.into(),
            zstd: zstd.into(),
            last_modified: http_date(last_modified).into(),
        }
    }
}

/// What memory holds of one path: also that there is nothing.
#[derive(Clone, Debug)]
pub(crate) struct Remembered {
    organization_id: i64,
    /// The public URL it was made for; another one, even an equal one, makes it worthless.
    base_url: Arc<Url>,
    document: Option<Arc<Document>>,
}

impl Remembered {
    /// Bytes it occupies, roughly.
    pub(crate) fn size(&self) -> usize {
        128 + self
            .document
            .as_ref()
            .map_or(0, |document| document.gzip.len() + document.zstd.len())
    }
}

/// Why there is no document to give.
#[derive(Debug, thiserror::Error)]
pub enum DocumentError {
    /// Not allowed.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// There is no such organization, package or path.
    #[error("not found")]
    Unknown,
    /// It could not be made.
    #[error("{0}")]
    Failed(String),
    /// The database failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl From<JobError> for DocumentError {
    fn from(error: JobError) -> Self {
        Self::Failed(error.to_string())
    }
}

/// The finished answer for `place` (`acme/packages.json`, `acme/p2/acme/lib~dev.json`: organization, then path).
pub async fn find(
    registry: &Registry,
    actor: &Actor,
    place: &str,
) -> Result<Arc<Document>, DocumentError> {
    if let Some(found) = remembered(registry, actor, place) {
        return found;
    }
    let base_url = registry.public_url.load_full();
    let (slug, path) = place.split_once('/').ok_or(DocumentError::Unknown)?;
    let organization = organization::visible(registry, actor, slug).await?;
    let point = registry.memory.point();
    let document = load(registry, &organization, path).await?;
    let remembered = Remembered {
        organization_id: organization.id,
        base_url,
        document: document.clone(),
    };
    registry.memory.remember(point, |memory| {
        memory.documents.insert(place.into(), remembered);
    });
    document.ok_or(DocumentError::Unknown)
}

/// The answer of [`find`] if memory has it.
pub fn remembered(
    registry: &Registry,
    actor: &Actor,
    place: &str,
) -> Option<Result<Arc<Document>, DocumentError>> {
    let remembered = registry.memory.documents.get(place)?;
    if !Arc::ptr_eq(&remembered.base_url, &registry.public_url.load()) {
        return None;
    }
    let allowed = access::read(actor, remembered.organization_id);
    let document = remembered.document.ok_or(DocumentError::Unknown);
    Some(allowed.map_err(DocumentError::from).and(document))
}

async fn load(
    registry: &Registry,
    organization: &Organization,
    path: &str,
) -> Result<Option<Arc<Document>>, DocumentError> {
    let package = package_of(path);
    // Also keeps what no database takes out of it.
    if path != ROOT && package.is_none() {
        return Ok(None);
    }
    if let Some(document) = stored(registry, organization, path).await?.usable() {
        return Ok(Some(document));
    }
    match package {
        None => load_root(registry, organization).await.map(Some),
        Some(name) => load_package(registry, organization, path, &name).await,
    }
}

async fn load_root(
    registry: &Registry,
    organization: &Organization,
) -> Result<Arc<Document>, DocumentError> {
    let rendering = Rendering::Root(organization.id);
    let _turn = registry.renderings.turn(rendering).await;
    match stored(registry, organization, ROOT).await?.usable() {
        Some(document) => Ok(document),
        None => Ok(root::render(registry, organization).await?.into()),
    }
}

async fn load_package(
    registry: &Registry,
    organization: &Organization,
    path: &str,
    name: &PackageName,
) -> Result<Option<Arc<Document>>, DocumentError> {
    let mut connection = registry.database().read().await?;
    let package = packages::find_by_name(&mut connection, organization.id, name.as_str()).await?;
    drop(connection);
    let Some(package) = package else {
        return Ok(None);
    };
    let rendering = Rendering::Package(package.id);
    let _turn = registry.renderings.turn(rendering).await;
    if let Some(document) = stored(registry, organization, path).await?.usable() {
        return Ok(Some(document));
    }
    for _ in 0..ATTEMPTS {
        refresh_in_turn(registry, package.id, None).await?;
        match stored(registry, organization, path).await? {
            Stored::Usable(document) => return Ok(Some(document)),
            Stored::Nothing => return Ok(None),
            Stored::Elsewhere => {}
        }
    }
    Err(DocumentError::Failed(ANOTHER_ADDRESS.to_owned()))
}

/// What is stored under a path.
enum Stored {
    Usable(Arc<Document>),
    /// A document whose links lead to another address than ours.
    Elsewhere,
    /// It was never made, or deleted.
    Nothing,
}

impl Stored {
    fn usable(self) -> Option<Arc<Document>> {
        match self {
            Self::Usable(document) => Some(document),
            Self::Elsewhere | Self::Nothing => None,
        }
    }
}

async fn stored(
    registry: &Registry,
    organization: &Organization,
    path: &str,
) -> Result<Stored, DocumentError> {
    let mut connection = registry.database().read().await?;
    let row = rows::find(&mut connection, organization.id, path).await?;
    let address = registry.public_url();
    Ok(match row {
        Some(rows::Document {
            gzip: Some(gzip),
            zstd: Some(zstd),
            base_url,
            last_modified,
            ..
        }) if base_url == address.as_str() => {
            Stored::Usable(Document::new(gzip, zstd, last_modified).into())
        }
        Some(row) if row.gzip.is_some() => Stored::Elsewhere,
        _ => Stored::Nothing,
    })
}

/// The package that a path like `p2/acme/lib~dev.json` is about.
pub(crate) fn package_of(path: &str) -> Option<PackageName> {
    let name = path.strip_prefix("p2/")?.strip_suffix(".json")?;
    PackageName::parse(name.strip_suffix("~dev").unwrap_or(name)).ok()
}

/// Seconds since 1970 as `Sun, 01 Nov 2026 10:00:00 GMT`.
fn http_date(seconds: i64) -> String {
    let date = OffsetDateTime::from_unix_timestamp(seconds).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    let text = date.format(&Rfc2822).unwrap_or_default();
    text.replace("+0000", "GMT")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_http() {
        assert_eq!(http_date(1_793_527_200), "Sun, 01 Nov 2026 10:00:00 GMT");
        assert_eq!(http_date(0), "Thu, 01 Jan 1970 00:00:00 GMT");
    }

    #[test]
    fn only_package_paths_name_a_package() {
        assert_eq!(
            package_of("p2/acme/lib~dev.json").unwrap().as_str(),
            "acme/lib"
        );
        assert!(package_of("p2/acme.json").is_none());
        assert!(package_of("p2/../etc/passwd.json").is_none());
    }
}
