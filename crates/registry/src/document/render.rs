//! From versions to the bytes of a package's two documents.

use std::collections::{BTreeMap, BTreeSet};

use kapelle_composer::metadata::{self, Dist, Source, VersionObject};
use kapelle_composer::{Abandoned, PackageName, Stability};
use kapelle_storage::db::packages::Package;
use kapelle_storage::db::versions::Version;
use serde_json::{Map, Value};

use super::compress::compress;
use super::package::PackageDocuments;
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

/// Renders and compresses both documents. It takes a while: not for asynchronous threads.
pub(super) fn render(
    material: &Material,
    repository: &str,
    base_url: String,
) -> Result<PackageDocuments, String> {
    let package = &material.package;
    let [tagged, branches] = bodies(material, repository)?
        .map(|body| compress(&body).map_err(|error| error.to_string()));
    Ok(PackageDocuments {
        organization_id: package.organization_id,
        name: package.name.clone().unwrap_or_default(),
        base_url,
        tagged: tagged?,
        branches: branches?,
        has_versions: !material.versions.is_empty(),
        provided: provided_names(&material.versions),
    })
}

/// The JSON of both documents: of the tagged versions, and of the branches. `repository` is the URL of the
/// organization's repository. Not for asynchronous threads.
pub(crate) fn bodies(material: &Material, repository: &str) -> Result<[Vec<u8>; 2], String> {
    let name = material.package.name.clone().unwrap_or_default();
    let parsed = PackageName::parse(&name).map_err(|error| error.to_string())?;
    let mut tagged = Vec::new();
    let mut branches = Vec::new();
    for version in &material.versions {
        let object = object(material, &parsed, version, repository)?;
        if version.stability == Stability::Dev.as_str() {
            branches.push(object);
        } else {
            tagged.push(object);
        }
    }
    Ok([tagged, branches].map(|mut objects| {
        metadata::sort_newest_first(&mut objects);
        metadata::document(&parsed, &objects)
    }))
}

fn object(
    material: &Material,
    name: &PackageName,
    version: &Version,
    repository: &str,
) -> Result<Map<String, Value>, String> {
    let manifest =
        limits::manifest(version.manifest.as_bytes()).map_err(|error| error.to_string())?;
    let reference = &version.reference;
    let url = format!("{repository}/dists/{name}/{reference}.zip");
    let shasum = material
        .shasums
        .get(reference)
        .map(String::as_str)
        .unwrap_or_default();
    let abandoned = material.package.abandoned.as_deref().map(read_abandoned);
    let object = VersionObject {
        manifest: &manifest,
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
    Ok(object.build())
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

/// Longest provided name that can be asked for, in bytes: a database's index takes no endless ones.
const PROVIDED_NAME: usize = 255;

/// Names that any of the versions provides or replaces.
fn provided_names(versions: &[Version]) -> Vec<String> {
    let names: BTreeSet<String> = versions
        .iter()
        .filter_map(|version| limits::manifest(version.manifest.as_bytes()).ok())
        .flat_map(|manifest| manifest.provided_names())
        .filter(|name| name.len() <= PROVIDED_NAME)
        .collect();
    names.into_iter().collect()
}
