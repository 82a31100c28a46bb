//! A package's documents: both forms say the same, and what they say is what the rows say.

use std::collections::{BTreeMap, HashMap};
use std::io::Read;

use flate2::read::GzDecoder;
use kapelle_composer::minify;
use kapelle_storage::db::dists::Shown;
use kapelle_storage::db::documents::{self as rows, Document};
use kapelle_storage::db::packages::Package;
use kapelle_storage::db::versions::Version;
use serde_json::{Map, Value};

use super::packages::Subject;
use super::walk::{Suspects, Walk};
use super::{About, Finding, Kind, VerifyError};
use crate::document::{self, Material};

/// More than any document has, in bytes: what unpacks to more is damaged.
const LARGEST: u64 = 1 << 30;

/// What a package's documents say.
#[derive(Debug, Default)]
pub(super) struct Published {
    /// The checksum at each commit; empty where it is not known yet.
    pub(super) dists: BTreeMap<String, Shown>,
}

/// What a document says, and the public URL that it was made for.
pub(super) struct Unpacked {
    pub(super) base_url: String,
    pub(super) body: Vec<u8>,
}

/// One of a package's two documents.
struct OfPackage {
    about: About,
    /// 0: of tagged versions; 1: of branches.
    index: usize,
    unpacked: Unpacked,
}

/// Looks at both documents of a package.
pub(super) async fn of_package(
    walk: &Walk<'_>,
    package: Package,
    versions: Vec<Version>,
    suspects: &mut Suspects,
) -> Result<Subject, VerifyError> {
    let name = package.name.clone();
    let slug = walk.slug(package.organization_id).map(str::to_owned);
    let (Some(name), Some(slug)) = (name, slug) else {
        return Ok(Subject {
            package,
            versions,
            published: Published::default(),
        });
    };
    let mut stored = Vec::new();
    for path in [format!("p2/{name}.json"), format!("p2/{name}~dev.json")] {
        let mut connection = walk.registry.database().read().await?;
        let row = rows::find(&mut connection, package.organization_id, &path).await?;
        stored.push((walk.about(&package).document(&path), row));
    }
    let judging = tokio::task::spawn_blocking(move || judge(package, versions, stored, &slug));
    let (subject, found) = judging.await?;
    suspects.append(found);
    Ok(subject)
}

/// Compares the stored documents with what the rows give now, but for checksums that are not published yet.
fn judge(
    package: Package,
    versions: Vec<Version>,
    stored: Vec<(About, Option<Document>)>,
    slug: &str,
) -> (Subject, Suspects) {
    let mut suspects = Suspects::default();
    let mut documents = Vec::new();
    let mut dists = BTreeMap::new();
    for (index, (about, mut row)) in stored.into_iter().enumerate() {
        if package.removed_at.is_some() {
            // Only the date was promised; another package of the name may have a body there.
            row = row.map(dated);
        }
        match unpack(row, !versions.is_empty()) {
            Ok(None) => {}
            Ok(Some(unpacked)) => {
                dists.extend(dists_of(&unpacked.body));
                documents.push(OfPackage {
                    about,
                    index,
                    unpacked,
                });
            }
            Err((kind, finding)) => {
                suspects.broken(Finding::new(kind, about, finding, anew(&package)));
            }
        }
    }
    let material = Material {
        package,
        versions,
        dists,
    };
    compare(&material, documents, slug, &mut suspects);
    let Material {
        package,
        versions,
        dists,
    } = material;
    let published = Published { dists };
    let subject = Subject {
        package,
        versions,
        published,
    };
    (subject, suspects)
}

fn compare(material: &Material, documents: Vec<OfPackage>, slug: &str, suspects: &mut Suspects) {
    // By public URL, of which there is one as a rule.
    let mut rendered = HashMap::new();
    for document in documents {
        let OfPackage {
            about,
            index,
            unpacked: Unpacked { base_url, body },
        } = document;
        let repository = format!("{base_url}repo/{slug}");
        let bodies = rendered
            .entry(base_url)
            .or_insert_with(|| document::bodies(material, &repository));
        let finding = match bodies {
            Ok(bodies) if is_same(&bodies.documents[index], &body) => continue,
            Ok(_) => "it does not say what the rows say".to_owned(),
            Err(error) => format!("it cannot be made from the rows: {error}"),
        };
        let advice = anew(&material.package);
        suspects.broken(Finding::new(Kind::DocumentDiffers, about, finding, advice));
    }
}

fn dated(row: Document) -> Document {
    Document {
        gzip: None,
        zstd: None,
        ..row
    }
}

/// How the documents of a package are made anew.
pub(super) fn anew(package: &Package) -> String {
    if package.removed_at.is_some() {
        return "undo its removal: its documents are made anew then".to_owned();
    }
    format!(
        "run `kapelle package edit {} --url {}`: that has its documents made anew",
        package.name.as_deref().unwrap_or_default(),
        package.repository_url
    )
}

/// What a document says; `None`: it is made when it is asked for next.
pub(super) fn unpack(
    row: Option<Document>,
    has_versions: bool,
) -> Result<Option<Unpacked>, (Kind, String)> {
    let Some(row) = row else {
        let missing = "its row is gone, and with it the date that must never go back".to_owned();
        return if has_versions {
            Err((Kind::DocumentMissing, missing))
        } else {
            Ok(None)
        };
    };
    let damaged = |what: String| (Kind::DocumentDamaged, what);
    let (gzip, zstd) = match (row.gzip, row.zstd) {
        (None, None) => return Ok(None),
        (Some(gzip), Some(zstd)) => (gzip, zstd),
        _ => return Err(damaged("one of its two forms is gone".to_owned())),
    };
    if !has_versions {
        let finding = "it is there although no version is".to_owned();
        return Err((Kind::DocumentOrphaned, finding));
    }
    let body = inflate(GzDecoder::new(&gzip[..]))
        .map_err(|error| damaged(format!("its gzip form cannot be unpacked: {error}")))?;
    let other = zstd::stream::read::Decoder::new(&zstd[..])
        .and_then(inflate)
        .map_err(|error| damaged(format!("its zstd form cannot be unpacked: {error}")))?;
    if !is_same(&body, &other) {
        return Err(damaged("its two forms say different things".to_owned()));
    }
    Ok(Some(Unpacked {
        base_url: row.base_url,
        body,
    }))
}

fn inflate(packed: impl Read) -> std::io::Result<Vec<u8>> {
    let mut body = Vec::new();
    packed.take(LARGEST).read_to_end(&mut body)?;
    Ok(body)
}

fn is_same(one: &[u8], other: &[u8]) -> bool {
    let value = |body| serde_json::from_slice::<Value>(body).ok();
    one == other || value(one).is_some_and(|one| Some(one) == value(other))
}

/// Each dist that a document names.
fn dists_of(body: &[u8]) -> BTreeMap<String, Shown> {
    let document: Value = serde_json::from_slice(body).unwrap_or_default();
    let versions = document["packages"].as_object().into_iter().flatten();
    let versions = versions.filter_map(|(_, list)| list.as_array()).flatten();
    let versions: Vec<Map<String, Value>> = versions
        .filter_map(|version| version.as_object().cloned())
        .collect();
    minify::expand_each(&versions)
        .filter_map(|version| {
            let dist = version.get("dist")?;
            let text = |key: &str| dist[key].as_str().map(str::to_owned);
            let (reference, url) = (text("reference")?, text("url")?);
            let (_, extension) = url.rsplit_once(&format!("{reference}."))?;
            let shown = Shown {
                extension: extension.to_owned(),
                sha1: text("shasum")?,
                reference,
            };
            Some((shown.reference.clone(), shown))
        })
        .collect()
}
