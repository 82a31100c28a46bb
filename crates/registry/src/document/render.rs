//! From versions to the bytes of a package's two documents.

use std::collections::{BTreeMap, BTreeSet};

use kapelle_composer::metadata::{Dist, Document, Place, Source, VersionObject};
use kapelle_composer::{Abandoned, MAX_NAME_BYTES, Manifest, PackageName, Stability};
use kapelle_storage::db::packages::Package;
use kapelle_storage::db::versions::Version;
use serde_json::{Map, Value};

use crate::limits;

/// Everything that a package's documents are made of.
#[derive(Debug)]
pub struct Material {
    /// The package as it will be.
    pub package: Package,
    /// Its live versions.
    pub versions: Vec<Version>,
    /// Checksums of the dists that are built, by reference.
    pub shasums: BTreeMap<String, String>,
}

/// The JSON of a package's documents.
#[derive(Debug)]
pub(crate) struct Bodies {
    /// Of the tagged versions, and of the branches.
    pub(crate) documents: [Vec<u8>; 2],
    /// Names that any of the versions provides or replaces.
    pub(super) provided: Vec<String>,
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
    let mut provided = BTreeSet::new();
    let mut last: Option<(&str, Manifest)> = None;
    for version in versions {
        // Versions next to each other often have the same composer.json.
        let manifest = match last.take() {
            Some((text, manifest)) if *text == *version.manifest => manifest,
            _ => {
                let manifest = limits::manifest(version.manifest.as_bytes());
                let manifest = manifest.map_err(|error| error.to_string())?;
                let names = manifest.provided_names().into_iter();
                // Nobody can ask for a longer one, and a database's index takes no endless ones.
                provided.extend(names.filter(|name| name.len() <= MAX_NAME_BYTES));
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
        provided: provided.into_iter().collect(),
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
    let url = format!("{repository}/dists/{name}/{reference}.zip");
    let shasum = material
        .shasums
        .get(reference)
        .map(String::as_str)
        .unwrap_or_default();
    let abandoned = material.package.abandoned.as_deref().map(read_abandoned);
    let object = VersionObject {
        manifest,
        name,
        version: &version.version,
        normalized: &version.version_normalized,
        source: Some(Source {
            kind: "git",
            url: &material.package.repository_url,
            reference,
        }),
        dist: Some(Dist {
            kind: "zip",
            url: &url,
            reference,
            shasum,
        }),
        time: Some(version.released_at),
        default_branch: version.default_branch,
        abandoned: abandoned.as_ref(),
        notification_url: None,
    };
    object.build()
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
