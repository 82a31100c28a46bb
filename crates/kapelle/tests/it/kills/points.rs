//! Which points there are, as the sources say, and which groups of them are killed together.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use super::world::Kill;

/// How often each point was reached.
pub(super) type Hits = BTreeMap<String, usize>;

/// Parts of the names of points.
pub(super) type Group = &'static [&'static str];

pub(super) const SYNCHRONIZING: Group = &["registry/src/sync/"];
pub(super) const BUILDING: Group = &["registry/src/dist/", "registry/src/blob.rs", " a dist "];
pub(super) const CLAIMING: Group = &["registry/src/jobs/worker.rs"];
pub(super) const WORKING: Group = &[
    "registry/src/jobs/tidy.rs",
    "registry/src/jobs/schedule.rs",
    "registry/src/jobs/context.rs",
    "registry/src/jobs/progress.rs",
    "registry/src/depot.rs",
    "registry/src/statistics.rs",
];
pub(super) const PUBLISHING: Group = &[
    "registry/src/hook.rs",
    "registry/src/document/",
    "kapelle/src/serve/",
    "storage/src/migrate.rs",
];
pub(super) const FETCHING: Group = &["git fetch ", "git ls-remote ", " a mirror is "];
pub(super) const READING: Group = &[
    "git cat-file ",
    "git archive ",
    "git ls-tree ",
    "git rev-list ",
];
pub(super) const STORING: Group = &[" a blob is ", " a zip is ", " a temporary folder "];

/// Everything that a server does.
pub(super) const SERVER: [Group; 8] = [
    SYNCHRONIZING,
    BUILDING,
    CLAIMING,
    WORKING,
    PUBLISHING,
    FETCHING,
    READING,
    STORING,
];

/// Points that a run reaches or not, as its jobs take longer or not.
pub(super) const BY_THE_CLOCK: Group = &["registry/src/jobs/progress.rs"];

/// Transactions that no run here commits: how many in which file, and why.
pub(super) const NOT_REACHED: &[(&str, usize, &str)] = &[
    ("registry/src/api_key.rs", 2, "one row, nothing follows"),
    ("registry/src/token.rs", 2, "one row, nothing follows"),
    (
        "registry/src/credential/mod.rs",
        3,
        "one row, nothing follows",
    ),
    (
        "registry/src/mirrored_repository.rs",
        2,
        "one row, nothing follows",
    ),
    (
        "registry/src/package/security_monitoring.rs",
        1,
        "one row, nothing follows",
    ),
    (
        "registry/src/jobs/mirror_package.rs",
        1,
        "jobs that only say that they cannot be done",
    ),
    ("registry/src/host_key.rs", 2, "one row, nothing follows"),
    (
        "registry/src/package/edit.rs",
        1,
        "one row, nothing follows",
    ),
    (
        "registry/src/organization.rs",
        1,
        "a new hook secret: one row",
    ),
    ("registry/src/jobs/mod.rs", 1, "cancelling: one row"),
    (
        "registry/src/statistics.rs",
        1,
        "counts may be lost in a crash",
    ),
    (
        "registry/src/blob.rs",
        3,
        "a lost collector: its test moves the clock; and a purge at the same time",
    ),
    ("registry/src/jobs/build_one_dist.rs", 1, "several machines"),
    ("registry/src/sync/rescue.rs", 1, "several machines"),
    (
        "registry/src/jobs/worker.rs",
        2,
        "a heartbeat, and a claim that is given up: jobs are too short here",
    ),
];

/// The kills at the points of `group`: the first hit of each, and the last.
pub(super) fn kills(hits: &Hits, group: Group) -> Vec<Kill> {
    let mut kills = Vec::new();
    for (point, &count) in hits.iter().filter(|(point, _)| is_in(point, group)) {
        let hits = BTreeSet::from([1, count]);
        kills.extend(hits.into_iter().map(|hit| Kill {
            point: point.clone(),
            hit,
        }));
    }
    kills
}

/// Whether a point's name has one of the parts in it.
pub(super) fn is_in(point: &str, group: Group) -> bool {
    group.iter().any(|part| point.contains(part))
}

/// What the sources hold.
#[derive(Debug, Default)]
pub(super) struct Sources {
    /// The names that are written out.
    pub(super) names: BTreeSet<String>,
    /// Where transactions are committed, `FILE:LINE` by file.
    pub(super) commits: BTreeMap<String, Vec<String>>,
}

/// Reads the sources of every crate that changes something.
pub(super) fn sources() -> Sources {
    let workspace = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."));
    let mut sources = Sources::default();
    for name in ["archive", "http", "kapelle", "registry", "storage", "vcs"] {
        let folder = format!("crates/{name}/src");
        for file in files(&workspace.join(&folder)) {
            let text = fs::read_to_string(&file).expect("a source file");
            let file = file
                .strip_prefix(workspace)
                .expect("a file in the workspace");
            sources.read(&file.display().to_string(), &text);
        }
    }
    sources
}

impl Sources {
    fn read(&mut self, file: &str, text: &str) {
        // Unit tests end a file.
        let text = text.split("#[cfg(test)]").next().unwrap_or_default();
        for (number, line) in (1..).zip(text.lines()) {
            let name = line.split_once("reach(\"").map(|(_, rest)| rest);
            if let Some((name, _)) = name.and_then(|rest| rest.split_once('"')) {
                self.names.insert(name.to_owned());
            }
            if line.contains(".commit()") && !file.ends_with("handle.rs") {
                let commits = self.commits.entry(file.to_owned()).or_default();
                commits.push(format!("{file}:{number}"));
            }
        }
    }
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder of sources") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found
}
