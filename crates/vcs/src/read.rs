//! Reads files and dates out of a mirror by object name, many with one command.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use bytes::Bytes;

use crate::error::VcsError;
use crate::mirror::Mirror;
use crate::refname;

/// How many bytes of files one command brings into memory.
const BATCH: u64 = 32 << 20;
/// The last second of the year 9999.
const LAST_SECOND: i64 = 253_402_300_799;

/// A file as it was asked for, and what is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileAt {
    /// The commit.
    pub commit: String,
    /// The path from the root.
    pub path: String,
    /// What is there.
    pub content: FileContent,
}

/// What a commit has at a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FileContent {
    /// A file; or a symbolic link, whose content is its target.
    Found(Bytes),
    /// Nothing, or something of a submodule.
    Missing,
    /// A folder.
    Folder,
    /// A file over the limit, of this many bytes. It was not read.
    TooLarge(u64),
    /// The mirror does not have the commit at all, or it is no commit: nothing is known about the file.
    NoCommit,
}

/// When a commit was made, in milliseconds since 1970. Whoever made it could write what they like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CommitTime {
    /// When the change was written.
    pub authored: i64,
    /// When this commit was made of it.
    pub committed: i64,
}

pub(crate) struct Object {
    pub(crate) oid: String,
    kind: String,
    pub(crate) size: u64,
}

impl Mirror {
    /// Reads many files at many commits; one answer per question, in order. Equal files are read once.
    pub async fn read_files(
        &self,
        files: &[(String, String)],
        max_bytes: u64,
    ) -> Result<Vec<FileAt>, VcsError> {
        for (commit, path) in files {
            refname::check_oid(commit)?;
            check_path(path)?;
        }
        let commits = self.commits(files.iter().map(|(commit, _)| commit)).await?;
        let names = files
            .iter()
            .map(|(commit, path)| format!("{commit}:{path}"));
        let objects = self.objects(names.collect()).await?;
        let small = objects
            .iter()
            .flatten()
            .filter(|object| object.kind == "blob" && object.size <= max_bytes);
        let contents = self.contents(small).await?;
        let content = |commit: &String, object: &Option<Object>| match object {
            _ if !commits.contains(commit) => FileContent::NoCommit,
            None => FileContent::Missing,
            Some(object) if object.kind != "blob" => FileContent::Folder,
            Some(object) => match contents.get(&object.oid) {
                Some(bytes) => FileContent::Found(bytes.clone()),
                None => FileContent::TooLarge(object.size),
            },
        };
        Ok(files
            .iter()
            .zip(&objects)
            .map(|((commit, path), object)| FileAt {
                commit: commit.clone(),
                path: path.clone(),
                content: content(commit, object),
            })
            .collect())
    }

    /// When commits were made; those the mirror does not have are left out.
    pub async fn commit_times(
        &self,
        commits: &[String],
    ) -> Result<BTreeMap<String, CommitTime>, VcsError> {
        commits.iter().try_for_each(|oid| refname::check_oid(oid))?;
        let there = self.commits(commits.iter()).await?;
        if there.is_empty() {
            return Ok(BTreeMap::new());
        }
        let doing = "read the dates of commits";
        let arguments = [
            "rev-list",
            "--no-walk=unsorted",
            "--no-commit-header",
            "--format=%H %at %ct",
            "--stdin",
        ];
        let input = there.iter().flat_map(|oid| [oid.as_str(), "\n"]);
        let _permit = self.git().reading().await;
        let finished = self
            .command(doing, &arguments)
            .input(input.collect::<String>().into_bytes())
            .run(there.len() * 128)
            .await?;
        self.judge(doing, &finished)?;
        let text = String::from_utf8_lossy(&finished.stdout);
        Ok(text.lines().filter_map(commit_time).collect())
    }

    /// Whether the mirror has the commit.
    pub async fn has(&self, commit: &str) -> Result<bool, VcsError> {
        refname::check_oid(commit)?;
        let commit = commit.to_owned();
        Ok(!self.commits([&commit].into_iter()).await?.is_empty())
    }

    /// Those of the commits that the mirror does not have.
    pub async fn missing(&self, commits: &[String]) -> Result<Vec<String>, VcsError> {
        commits.iter().try_for_each(|oid| refname::check_oid(oid))?;
        let there = self.commits(commits.iter()).await?;
        let missing = commits.iter().filter(|commit| !there.contains(*commit));
        Ok(missing.cloned().collect())
    }

    pub(crate) async fn require(&self, commit: &str) -> Result<(), VcsError> {
        if self.has(commit).await? {
            return Ok(());
        }
        let commit = commit.to_owned();
        Err(VcsError::CommitMissing { commit })
    }

    /// Those of the names that are commits here.
    async fn commits(
        &self,
        oids: impl Iterator<Item = &String>,
    ) -> Result<BTreeSet<String>, VcsError> {
        let oids: BTreeSet<_> = oids.cloned().collect();
        let names = oids.iter().map(|oid| format!("{oid}^{{commit}}"));
        let objects = self.objects(names.collect()).await?;
        // A tag's own name leads to its commit, but is not the commit's name.
        let is_commit = |(oid, object): &(String, Option<Object>)| {
            object.as_ref().is_some_and(|object| object.oid == *oid)
        };
        let found = oids.into_iter().zip(objects).filter(is_commit);
        Ok(found.map(|(oid, _)| oid).collect())
    }

    /// Kind and size of many objects, one answer per name, in order.
    async fn objects(&self, names: Vec<String>) -> Result<Vec<Option<Object>>, VcsError> {
        if names.is_empty() || !self.exists() {
            return Ok(names.iter().map(|_| None).collect());
        }
        let doing = "look up objects in a mirror";
        let input: String = names.iter().flat_map(|name| [name, "\n"]).collect();
        let longest = input.len() + names.len() * 128;
        let _permit = self.git().reading().await;
        let finished = self
            .command(doing, &["cat-file", "--batch-check", "--buffer"])
            .input(input.into_bytes())
            .run(longest)
            .await?;
        self.judge(doing, &finished)?;
        let text = String::from_utf8_lossy(&finished.stdout);
        let objects: Vec<_> = text.lines().map(object).collect();
        if objects.len() == names.len() {
            return Ok(objects);
        }
        Err(VcsError::GitFailed {
            doing: doing.to_owned(),
            detail: format!("{} answers to {} names", objects.len(), names.len()),
        })
    }

    /// The contents of objects, by object name.
    async fn contents(
        &self,
        objects: impl Iterator<Item = &Object>,
    ) -> Result<HashMap<String, Bytes>, VcsError> {
        let distinct: BTreeMap<_, _> = objects.map(|object| (&object.oid, object.size)).collect();
        let mut contents = HashMap::with_capacity(distinct.len());
        let mut batch = Vec::new();
        let mut bytes = 0;
        for (oid, size) in distinct {
            if !batch.is_empty() && bytes + size > BATCH {
                self.batch(&batch, bytes, &mut contents).await?;
                batch.clear();
                bytes = 0;
            }
            batch.push(oid.as_str());
            bytes += size;
        }
        self.batch(&batch, bytes, &mut contents).await?;
        Ok(contents)
    }

    /// Reads objects that are this large together.
    async fn batch(
        &self,
        oids: &[&str],
        bytes: u64,
        contents: &mut HashMap<String, Bytes>,
    ) -> Result<(), VcsError> {
        if oids.is_empty() {
            return Ok(());
        }
        let doing = "read files out of a mirror";
        let input: String = oids.iter().flat_map(|oid| [oid, "\n"]).collect();
        let longest = usize::try_from(bytes).unwrap_or(usize::MAX) + oids.len() * 128;
        let _permit = self.git().reading().await;
        let finished = self
            .command(doing, &["cat-file", "--batch", "--buffer"])
            .input(input.into_bytes())
            .run(longest)
            .await?;
        self.judge(doing, &finished)?;
        let read = contents_of(finished.stdout.into()).map_err(|detail| VcsError::Corrupt {
            path: self.path().to_owned(),
            detail,
        })?;
        contents.extend(read);
        Ok(())
    }
}

/// What `git cat-file --batch` answers, by object name: `<oid> <kind> <size>`, a line end, the content, a line end; again
/// and again. The error is the line that no such content follows.
pub(crate) fn contents_of(mut answer: Bytes) -> Result<Vec<(String, Bytes)>, String> {
    let mut contents = Vec::new();
    while let Some(end) = answer.iter().position(|byte| *byte == b'\n') {
        let header = String::from_utf8_lossy(&answer[..end]).into_owned();
        let object = object(&header);
        let Some((oid, size)) =
            object.and_then(|it| Some((it.oid, usize::try_from(it.size).ok()?)))
        else {
            return Err(header);
        };
        let start = end + 1;
        if size >= answer.len() - start {
            return Err(header);
        }
        contents.push((oid, answer.slice(start..start + size)));
        answer = answer.slice(start + size + 1..);
    }
    Ok(contents)
}

/// A path of our own choosing still must not be able to end the line, leave the tree or start from elsewhere.
pub(crate) fn check_path(path: &str) -> Result<(), VcsError> {
    let fine = path.len() <= 4096
        && !path.contains(crate::text::is_invisible)
        && path
            .split('/')
            .all(|part| !part.is_empty() && part != "." && part != "..");
    if fine {
        return Ok(());
    }
    Err(VcsError::InvalidName {
        kind: "path inside a repository",
        subject: path.to_owned(),
    })
}

/// `<oid> <kind> <size>`; anything else means that there is no such object.
pub(crate) fn object(line: &str) -> Option<Object> {
    let mut words = line.split(' ');
    let object = Object {
        oid: words.next()?.to_owned(),
        kind: words.next()?.to_owned(),
        size: words.next()?.parse().ok()?,
    };
    (words.next().is_none() && refname::is_oid(&object.oid)).then_some(object)
}

/// `<oid> <seconds> <seconds>`; a date that git cannot read is 1970.
pub(crate) fn commit_time(line: &str) -> Option<(String, CommitTime)> {
    let mut words = line.split(' ');
    let oid = words.next()?.to_owned();
    let mut millis = || {
        let seconds: i64 = words.next()?.parse().ok()?;
        Some(seconds.clamp(0, LAST_SECOND) * 1000)
    };
    let (authored, committed) = (millis().unwrap_or(0), millis().unwrap_or(0));
    let time = CommitTime {
        authored,
        committed,
    };
    Some((oid, time))
}
