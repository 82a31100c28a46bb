//! composer.json at each changed ref, read by object id, and what the ref could be published as.
//!
//! Whoever can push upstream chooses how many refs there are and how large each composer.json is, so few are in
//! memory at once, and all that a package publishes have a limit together.

use std::sync::Arc;

use kapelle_composer::{MAX_NAME_BYTES, Manifest, branch_version, tag_matches, tag_version};
use kapelle_vcs::{FileAtCommit, FileContent, Mirror, Objects, Oid, VcsError};

use super::observe::Failure;
use crate::jobs::{JobContext, JobError, clip};
use crate::limits;

/// Refs that are read at once.
const CHUNK: usize = 100;
/// What all composer.json of a package may have together: this many times the limit of one.
const MANIFESTS: u64 = 128;

/// A tag or branch that is new, has moved, or takes the place of one that is gone.
#[derive(Debug)]
pub(super) struct ObservedRef {
    /// `refs/tags/1.0.0` or `refs/heads/main`.
    pub(super) name: String,
    /// The commit it points to, peeled.
    pub(super) commit: String,
    /// Author date in milliseconds since 1970, as Composer takes it.
    pub(super) committed_at: i64,
    /// The name that composer.json declares, if any; or why there is no composer.json.
    pub(super) declares: Result<Option<String>, String>,
    /// What it can be published as, or why not.
    pub(super) version: Result<Candidate, String>,
}

/// A ref whose composer.json is good.
#[derive(Clone, Debug)]
pub(super) struct Candidate {
    /// As people read it.
    pub(super) version: String,
    /// As versions are compared.
    pub(super) normalized: String,
    /// composer.json as committed.
    pub(super) manifest: Arc<str>,
}

/// Reads composer.json at each of `refs` (name and commit). `published` is how many bytes of composer.json the
/// package has besides them.
pub(super) async fn read(
    context: &JobContext,
    mirror: &Mirror,
    refs: Vec<(String, String)>,
    published: u64,
) -> Result<Vec<ObservedRef>, Failure> {
    let limit = context.registry.limits().manifest;
    let budget = limit.saturating_mul(MANIFESTS);
    let mut left = budget.saturating_sub(published);
    let total = refs.len();
    let mut observed = Vec::with_capacity(total);
    let opened = mirror.open().await?;
    let mut objects = opened.ok_or_else(|| damage(mirror, "it is not there".to_owned()))?;
    for chunk in refs.chunks(CHUNK) {
        context.check()?;
        context
            .progress(observed.len(), total, "reading composer.json")
            .await
            .map_err(JobError::from)?;
        let (mirror, chunk) = (mirror.clone(), chunk.to_vec());
        let work = move |objects: &mut Objects| read_chunk(objects, &mirror, chunk, limit);
        let (still_open, read) = objects.work(work).await?;
        objects = still_open;
        for mut one in read {
            let bytes = one
                .version
                .as_ref()
                .map_or(0, |candidate| candidate.manifest.len() as u64);
            if bytes > left {
                one.version = Err(format!(
                    "the composer.json files of this package have more than {budget} bytes together: \
                     delete tags and branches that nobody installs"
                ));
            } else {
                left -= bytes;
            }
            observed.push(one);
        }
    }
    objects.close().await?;
    Ok(observed)
}

fn read_chunk(
    objects: &mut Objects,
    mirror: &Mirror,
    refs: Vec<(String, String)>,
    limit: u64,
) -> Result<Vec<ObservedRef>, VcsError> {
    let commits: Result<Vec<Oid>, _> = refs.iter().map(|(_, commit)| Oid::parse(commit)).collect();
    let commits = commits?;
    let files = objects.files(&commits, "composer.json", limit)?;
    let mut last: Option<(FileContent, Read)> = None;
    let mut observed = Vec::with_capacity(refs.len());
    for (((name, commit), oid), file) in refs.into_iter().zip(commits).zip(files) {
        let FileAtCommit { content, time } = file;
        // What a ref marks may be anything; a branch whose object is not there is a loss of ours.
        if content == FileContent::NoCommit
            && name.starts_with("refs/heads/")
            && objects.info(&[oid])? == [None]
        {
            return Err(damage(mirror, format!("the commit of {name} is missing")));
        }
        // Refs next to each other often have the same composer.json.
        let read = match last.take() {
            Some((known, read)) if known == content => read,
            _ => parse(&content, limit),
        };
        let committed_at = time.map_or(0, |time| time.authored);
        observed.push(observe(name, commit, committed_at, &read));
        last = Some((content, read));
    }
    Ok(observed)
}

fn damage(mirror: &Mirror, detail: String) -> VcsError {
    VcsError::Corrupt {
        path: mirror.path().to_owned(),
        detail,
    }
}

/// composer.json as it was read, and its text; or why there is none.
type Read = Result<(Manifest, Arc<str>), String>;

fn observe(name: String, commit: String, committed_at: i64, read: &Read) -> ObservedRef {
    let read = read.as_ref().map_err(Clone::clone);
    // A fault may repeat what it is about, and there may be one for each of very many refs.
    ObservedRef {
        committed_at,
        declares: read
            .clone()
            .and_then(|(manifest, _)| declared_name(manifest)),
        version: read
            .and_then(|(manifest, text)| candidate(&name, manifest, text))
            .map_err(|fault| clip(&fault)),
        name,
        commit,
    }
}

/// To Composer, an empty name is none. Each ref keeps its own, so none is longer than a name can be.
fn declared_name(manifest: &Manifest) -> Result<Option<String>, String> {
    match manifest.name().filter(|name| !name.trim().is_empty()) {
        Some(name) if name.len() > MAX_NAME_BYTES => Err(format!(
            "the name in composer.json has {} bytes; a package's has at most {MAX_NAME_BYTES}",
            name.len()
        )),
        name => Ok(name.map(str::to_owned)),
    }
}

fn parse(content: &FileContent, limit: u64) -> Read {
    match content {
        FileContent::Found(bytes) => {
            let manifest = limits::manifest(bytes).map_err(|error| error.to_string())?;
            let text = str::from_utf8(bytes).map_err(|error| error.to_string())?;
            Ok((manifest, text.into()))
        }
        FileContent::Missing | FileContent::Folder => Err("there is no composer.json".to_owned()),
        FileContent::NoCommit => Err("it does not point to a commit".to_owned()),
        FileContent::TooLarge(size) => Err(format!(
            "composer.json has {size} bytes; at most {limit} are read"
        )),
    }
}

fn candidate(ref_name: &str, manifest: &Manifest, text: &Arc<str>) -> Result<Candidate, String> {
    if manifest.is_empty() {
        return Err("composer.json says nothing".to_owned());
    }
    let (version, normalized) = version_of(ref_name, manifest.version())?;
    manifest
        .check_as(&version)
        .map_err(|error| error.to_string())?;
    Ok(Candidate {
        version,
        normalized,
        manifest: Arc::clone(text),
    })
}

/// A ref's version, pretty and normalized.
fn version_of(ref_name: &str, declared: Option<&str>) -> Result<(String, String), String> {
    if let Some(tag) = ref_name.strip_prefix("refs/tags/") {
        let tagged = tag_version(tag).map_err(|error| error.to_string())?;
        let agreed = tag_matches(declared, tagged.clone()).map_err(|error| error.to_string())?;
        // Normalization forgives what no terminal and no database should see; the tag's own spelling is clean.
        let is_clean = !agreed.version.chars().any(char::is_control);
        let version = if is_clean { agreed } else { tagged };
        return Ok((version.version, version.normalized));
    }
    let branch = ref_name.strip_prefix("refs/heads/").unwrap_or(ref_name);
    let version = branch_version(branch).map_err(|error| error.to_string())?;
    Ok((version.version, version.normalized))
}
