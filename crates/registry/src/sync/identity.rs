//! What a package says of itself: its default branch's composer.json, else its newest version's.

use std::collections::BTreeMap;

use kapelle_composer::{Manifest, PackageName, printable};
use kapelle_storage::db::packages::{self, Package};
use kapelle_storage::db::versions::Version;

use super::plan::Plan;
use crate::document;
use crate::limits;

/// The columns of a package's row that upstream decides about.
#[derive(Debug)]
pub(super) struct Identity {
    pub(super) name: String,
    description: String,
    package_type: String,
    abandoned: Option<String>,
    default_branch: Option<String>,
}

impl Identity {
    /// As it will be once `plan` is carried out; `live` is what stays of the present versions.
    pub(super) fn of(
        package: &Package,
        name: &PackageName,
        default_branch: Option<&str>,
        live: &BTreeMap<String, Version>,
        plan: &Plan,
    ) -> Self {
        let candidates = || plan.publish.iter().chain(live.values());
        let speaking = candidates()
            .find(|version| version.default_branch)
            .or_else(|| candidates().max_by_key(|version| version.released_at));
        let manifest =
            speaking.and_then(|version| limits::manifest(version.manifest.as_bytes()).ok());
        let manifest = manifest.as_ref();
        Self {
            name: name.as_str().to_owned(),
            description: manifest.and_then(Manifest::description).unwrap_or_default(),
            package_type: manifest.map_or_else(
                || package.package_type.clone(),
                |manifest| printable(&manifest.kind()),
            ),
            abandoned: manifest
                .and_then(Manifest::abandoned)
                .map(document::stored_abandoned),
            default_branch: default_branch.map(str::to_owned),
        }
    }

    /// As it is written.
    pub(super) fn row(&self) -> packages::Identity<'_> {
        packages::Identity {
            name: Some(&self.name),
            description: &self.description,
            package_type: &self.package_type,
            abandoned: self.abandoned.as_deref(),
            default_branch: self.default_branch.as_deref(),
        }
    }

    /// The package as it will be rendered.
    pub(super) fn apply_to(&self, package: Package) -> Package {
        Package {
            name: Some(self.name.clone()),
            abandoned: self.abandoned.clone(),
            ..package
        }
    }
}
