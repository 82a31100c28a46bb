//! Packages as the command line prints them.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::fmt::Write;

use kapelle_composer::Version as VersionNumber;
use kapelle_registry::package::{self, Details};
use kapelle_storage::db::dists::Dist;
use kapelle_storage::db::jobs::Job;
use kapelle_storage::db::packages::Package;
use kapelle_storage::db::versions::Version;
use serde::Serialize;

use super::when;
use crate::output::{Row, table};

/// A package in a list.
#[derive(Debug, Serialize)]
pub(super) struct Shown {
    id: i64,
    name: Option<String>,
    repository_url: String,
    #[serde(rename = "type")]
    kind: String,
    description: String,
    synced_at: Option<String>,
    sync_error: Option<String>,
}

impl From<Package> for Shown {
    fn from(package: Package) -> Self {
        Self {
            id: package.id,
            name: package.name,
            repository_url: package.repository_url,
            kind: package.package_type,
            description: package.description,
            synced_at: when::optional(package.synced_at),
            sync_error: package.sync_error,
        }
    }
}

impl Row for Shown {
    const HEADINGS: &'static [&'static str] =
        &["ID", "NAME", "REPOSITORY", "SYNCHRONIZED", "STATE"];

    fn cells(&self) -> Vec<String> {
        let state = match (&self.sync_error, &self.synced_at) {
            (Some(error), _) => error.clone(),
            (None, Some(_)) => "ok".to_owned(),
            (None, None) => "waits for its first synchronization".to_owned(),
        };
        vec![
            self.id.to_string(),
            when::or(self.name.as_ref(), "–"),
            self.repository_url.clone(),
            when::or(self.synced_at.as_ref(), "never"),
            state,
        ]
    }
}

/// A package and the job that looks at its repository.
#[derive(Debug, Serialize)]
pub(super) struct Queued {
    #[serde(flatten)]
    package: Shown,
    job: JobState,
    #[serde(skip)]
    display_name: String,
}

#[derive(Debug, Serialize)]
struct JobState {
    id: i64,
    state: String,
    message: String,
}

impl Queued {
    /// The job waits.
    pub(super) fn new(package: Package, job: i64) -> Self {
        let job = JobState {
            id: job,
            state: "queued".to_owned(),
            message: String::new(),
        };
        Self {
            display_name: package::display_name(&package),
            package: package.into(),
            job,
        }
    }

    /// The job was waited for.
    pub(super) fn ended(package: Package, job: &Job) -> Self {
        let job = JobState {
            id: job.id,
            state: job.state.clone(),
            message: job.message.clone(),
        };
        Self {
            display_name: package::display_name(&package),
            package: package.into(),
            job,
        }
    }

    pub(super) fn for_people(&self) -> String {
        let JobState { id, state, message } = &self.job;
        if state == "queued" && message.is_empty() {
            return format!("{}: job {id} is queued", self.display_name);
        }
        // Some messages begin with the name already.
        let message = message
            .strip_prefix(&format!("{}: ", self.display_name))
            .unwrap_or(message);
        format!("{}: {message}", self.display_name)
    }
}

impl Row for Queued {
    const HEADINGS: &'static [&'static str] = &["NAME", "JOB", "STATE", "MESSAGE"];

    fn cells(&self) -> Vec<String> {
        let JobState { id, state, message } = &self.job;
        vec![
            self.display_name.clone(),
            id.to_string(),
            state.clone(),
            message.clone(),
        ]
    }
}

/// A package with everything that is known about it.
#[derive(Debug, Serialize)]
pub(super) struct Full {
    #[serde(flatten)]
    package: Shown,
    default_branch: Option<String>,
    abandoned: Option<String>,
    installs: i64,
    versions: Vec<ShownVersion>,
    faults: Vec<Fault>,
    lost: Vec<Lost>,
    #[serde(skip)]
    display_name: String,
}

#[derive(Debug, Serialize)]
struct ShownVersion {
    version: String,
    version_normalized: String,
    reference: String,
    #[serde(rename = "ref")]
    ref_name: String,
    released_at: String,
    /// Nothing as long as it is not built.
    dist: Option<ShownDist>,
}

#[derive(Debug, Serialize)]
struct ShownDist {
    size: i64,
    shasum: String,
    has_submodules: bool,
    has_lfs: bool,
}

impl From<&Dist> for ShownDist {
    fn from(dist: &Dist) -> Self {
        Self {
            size: dist.size,
            shasum: dist.sha1.clone(),
            has_submodules: dist.has_submodules,
            has_lfs: dist.has_lfs,
        }
    }
}

impl ShownVersion {
    fn new(version: Version, dist: Option<&Dist>) -> Self {
        Self {
            dist: dist.map(ShownDist::from),
            version: version.version,
            version_normalized: version.version_normalized,
            reference: version.reference,
            ref_name: version.ref_name,
            released_at: when::rfc3339(version.released_at),
        }
    }
}

impl Row for ShownVersion {
    const HEADINGS: &'static [&'static str] = &["VERSION", "REFERENCE", "RELEASED", "DIST"];

    fn cells(&self) -> Vec<String> {
        let short = self.reference.get(..12).unwrap_or(&self.reference);
        vec![
            self.version.clone(),
            short.to_owned(),
            self.released_at.clone(),
            self.state_of_dist().to_owned(),
        ]
    }
}

impl ShownVersion {
    /// Clients may miss what is in submodules and in Git LFS.
    fn state_of_dist(&self) -> &'static str {
        let flags = self
            .dist
            .as_ref()
            .map(|dist| (dist.has_submodules, dist.has_lfs));
        match flags {
            None => "not built yet",
            Some((false, false)) => "ok",
            Some((true, false)) => "submodules are empty folders",
            Some((false, true)) => "LFS files are pointers",
            Some((true, true)) => "submodules are empty folders, LFS files are pointers",
        }
    }
}

#[derive(Debug, Serialize)]
struct Fault {
    #[serde(rename = "ref")]
    ref_name: String,
    error: String,
}

impl Row for Fault {
    const HEADINGS: &'static [&'static str] = &["TAG OR BRANCH", "GIVES NO VERSION BECAUSE"];

    fn cells(&self) -> Vec<String> {
        vec![self.ref_name.clone(), self.error.clone()]
    }
}

#[derive(Debug, Serialize)]
struct Lost {
    reference: String,
    since: Option<String>,
}

impl Row for Lost {
    const HEADINGS: &'static [&'static str] = &["LOST COMMIT", "SINCE"];

    fn cells(&self) -> Vec<String> {
        vec![self.reference.clone(), when::or(self.since.as_ref(), "–")]
    }
}

impl From<Details> for Full {
    fn from(details: Details) -> Self {
        let Details {
            package,
            mut versions,
            dists,
            faults,
            lost,
            installs,
        } = details;
        versions.sort_by_cached_key(|version| {
            Reverse(VersionNumber::from_normalized(&version.version_normalized))
        });
        let dists: HashMap<&str, &Dist> = dists
            .iter()
            .map(|dist| (dist.reference.as_str(), dist))
            .collect();
        let versions = versions.into_iter().map(|version| {
            let dist = dists.get(version.reference.as_str()).copied();
            ShownVersion::new(version, dist)
        });
        Self {
            default_branch: package.default_branch.clone(),
            abandoned: package.abandoned.clone(),
            installs,
            versions: versions.collect(),
            faults: faults
                .into_iter()
                .map(|(ref_name, error)| Fault { ref_name, error })
                .collect(),
            lost: lost
                .into_iter()
                .map(|lost| Lost {
                    reference: lost.reference,
                    since: when::optional(lost.lost_at),
                })
                .collect(),
            display_name: package::display_name(&package),
            package: package.into(),
        }
    }
}

impl Full {
    pub(super) fn for_people(&self) -> String {
        let Self {
            package,
            installs,
            versions,
            faults,
            lost,
            ..
        } = self;
        let mut text = format!("{}\n", self.display_name);
        let abandoned = self
            .abandoned
            .as_ref()
            .map(|by| if by.is_empty() { "yes" } else { by.as_str() });
        let lines = [
            (
                "description",
                Some(package.description.as_str()).filter(|text| !text.is_empty()),
            ),
            ("repository", Some(package.repository_url.as_str())),
            ("default branch", self.default_branch.as_deref()),
            ("abandoned for", abandoned),
            ("synchronized", package.synced_at.as_deref()),
            ("last error", package.sync_error.as_deref()),
        ];
        for (what, value) in lines {
            if let Some(value) = value {
                // Writing to a String cannot fail.
                let _ = writeln!(text, "{what:<16}{value}");
            }
        }
        let _ = writeln!(text, "{:<16}{installs}", "installs");
        if !versions.is_empty() {
            let _ = write!(text, "\n{}\n", table(versions));
        }
        if !faults.is_empty() {
            let _ = write!(text, "\n{}\n", table(faults));
        }
        if !lost.is_empty() {
            let _ = write!(text, "\n{}\n", table(lost));
        }
        text
    }
}
