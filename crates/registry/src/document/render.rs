//! From versions to the bytes of a package's two documents.

use std::collections::{BTreeMap, BTreeSet};

use kapelle_composer::metadata::{Dist, Document, Place, Source, VersionObject};
use kapelle_composer::{Abandoned, Link, MAX_NAME_BYTES, Manifest, PackageName, Stability};
use kapelle_storage::db::dists::Shown;
use kapelle_storage::db::packages::Package;
use kapelle_storage::db::versions::Version;
use kapelle_vcs::Protocols;
use serde_json::{Map, Value};

use crate::limits;
use crate::package::definition;

/// Everything that a package's documents are made of.
#[derive(Debug)]
pub struct Material {
    /// The package as it will be.
    pub package: Package,
    /// Its live versions.
    pub versions: Vec<Version>,
    /// The dists that are built, by reference.
    pub dists: BTreeMap<String, Shown>,
}

/// Names that any of a package's versions is linked to.
#[derive(Debug, Default)]
pub struct Links {
    /// Those that it provides or replaces.
    pub provides: Vec<String>,
    /// Those that it requires.
    pub requires: Vec<String>,
}

/// The JSON of a package's documents.
#[derive(Debug)]
pub(crate) struct Bodies {
    /// Of the tagged versions, and of the branches.
    pub(crate) documents: [Vec<u8>; 2],
    /// Names that the versions are linked to.
    pub(super) links: Links,
}

/// The bodies of both documents, rendered version by version. `repository` is the URL of the organization's repository. It
/// takes a while: not for asynchronous threads.
pub(crate) fn bodies(material: &Material, repository: &str) -> Result<Bodies, String> {
    let name = material.package.name.clone().unwrap_or_default();
    let name = PackageName::parse(&name).map_err(|error| error.to_string())?;
    let mut versions: Vec<&Version> = material.versions.iter().collect();
    versions.sort_by_cached_key(|version| {
        Place::of(&version.version_normalized, version.default_branch)
    });
    let mut documents = [Document::new(&name), Document::new(&name)];
    let (mut provides, mut requires) = (BTreeSet::new(), BTreeSet::new());
    let mut last: Option<(&str, Manifest)> = None;
    for version in versions {
        // Versions next to each other often have the same composer.json.
        let manifest = match last.take() {
            Some((text, manifest)) if *text == *version.manifest => manifest,
            _ => {
                let manifest = limits::manifest(version.manifest.as_bytes());
                let manifest = manifest.map_err(|error| error.to_string())?;
                // Nobody can ask for a longer one, and a database's index takes no endless ones.
                let short = |name: &String| name.len() <= MAX_NAME_BYTES;
                provides.extend(manifest.provided_names().into_iter().filter(short));
                let needed = manifest.links(Link::Require).into_iter();
                requires.extend(needed.map(|(name, _)| name).filter(short));
                manifest
            }
        };
        let is_branch = version.stability == Stability::Dev.as_str();
        let object = object(material, &name, version, &manifest, repository);
        documents[usize::from(is_branch)].add(object);
        last = Some((&version.manifest, manifest));
    }
    Ok(Bodies {
        documents: documents.map(Document::finish),
        links: Links {
            provides: provides.into_iter().collect(),
            requires: requires.into_iter().collect(),
        },
    })
}

fn object(
    material: &Material,
    name: &PackageName,
    version: &Version,
    manifest: &Manifest,
    repository: &str,
) -> Map<String, Value> {
    let reference = &version.reference;
    let dist = material.dists.get(reference);
    let extension = dist.map_or("zip", |dist| dist.extension.as_str());
    let url = format!("{repository}/dists/{name}/{reference}.{extension}");
    let dist = Dist {
        kind: extension.split('.').next().unwrap_or_default(),
        url: &url,
        reference,
        shasum: dist.map(|dist| dist.sha1.as_str()).unwrap_or_default(),
    };
    let own = own_source(material, manifest);
    let abandoned = material.package.abandoned.as_deref().map(read_abandoned);
    let object = VersionObject {
        manifest,
        name,
        version: &version.version,
        normalized: &version.version_normalized,
        source: source(material, own.as_ref(), reference),
        dist: Some(dist).filter(|_| !reference.is_empty()),
        time: Some(version.released_at),
        default_branch: version.default_branch,
        abandoned: abandoned.as_ref(),
        notification_url: None,
    };
    object.build()
}

/// The repository of a package that has one; of a custom package, what its version says.
fn source<'a>(
    material: &'a Material,
    own: Option<&'a Value>,
    reference: &'a str,
) -> Option<Source<'a>> {
    if material.package.kind == "vcs" {
        return Some(Source {
            kind: "git",
            url: &material.package.repository_url,
            reference,
        });
    }
    let text = |key: &str| own?[key].as_str();
    Some(Source {
        kind: text("type")?,
        url: text("url")?,
        reference: text("reference")?,
    })
}

/// What a custom package's version says of its repository, which was judged when it was written down.
fn own_source(material: &Material, manifest: &Manifest) -> Option<Value> {
    let is_custom = material.package.kind == "custom";
    let own = is_custom.then(|| definition::own_source(manifest, &Protocols::all()));
    own?.ok()?
}

/// How a package's row says that it is abandoned: empty, or the replacement.
pub(crate) fn stored_abandoned(abandoned: Abandoned) -> String {
    match abandoned {
        Abandoned::WithoutReplacement => String::new(),
        Abandoned::ReplacedBy(replacement) => replacement,
    }
}

fn read_abandoned(stored: &str) -> Abandoned {
    match stored {
        "" => Abandoned::WithoutReplacement,
        replacement => Abandoned::ReplacedBy(replacement.to_owned()),
    }
}
