//! One file at many commits, with their dates.

use std::collections::HashMap;
use std::io::Read as _;

use bytes::Bytes;

use crate::error::VcsError;
use crate::object::{Commit, Mode, ObjectKind, entries};
use crate::objects::Objects;
use crate::oid::Oid;
use crate::read::{CommitTime, FileContent, check_path};

/// How much of a commit is read: what matters stands at its beginning.
const COMMIT: u64 = 64 * 1024;
/// The largest folder in which a file is looked for, in bytes: some 200,000 entries with long names.
const TREE: u64 = 64 << 20;

/// A file as a commit has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileAtCommit {
    /// When the commit was made; `None` if there is no such commit.
    pub time: Option<CommitTime>,
    /// What is at the path.
    pub content: FileContent,
}

/// Where a path has led so far.
#[derive(Clone, Copy)]
enum Place {
    Nothing,
    Folder(Oid),
    File(Oid),
}

impl Objects {
    /// Reads the file `path` at each of the commits; one answer per commit, in order. Equal files are read once.
    pub fn files(
        &mut self,
        commits: &[Oid],
        path: &str,
        max_bytes: u64,
    ) -> Result<Vec<FileAtCommit>, VcsError> {
        check_path(path)?;
        let heads = self.commits(commits)?;
        let place =
            |head: &Option<Commit>| head.map_or(Place::Nothing, |it| Place::Folder(it.tree));
        let mut places: Vec<Place> = heads.iter().map(place).collect();
        for name in path.split('/') {
            self.enter(&mut places, name.as_bytes())?;
        }
        let files = self.small_files(&places, max_bytes)?;
        let content = |place: &Place| match place {
            Place::Nothing => FileContent::Missing,
            Place::Folder(_) => FileContent::Folder,
            Place::File(oid) => files.get(oid).cloned().unwrap_or(FileContent::Missing),
        };
        let answers = heads.iter().zip(&places).map(|(head, place)| FileAtCommit {
            time: head.map(|head| head.time),
            content: head.map_or(FileContent::NoCommit, |_| content(place)),
        });
        Ok(answers.collect())
    }

    /// The heads of commits; `None` for what is missing or no commit.
    pub(crate) fn commits(&mut self, oids: &[Oid]) -> Result<Vec<Option<Commit>>, VcsError> {
        let mut heads = vec![None; oids.len()];
        let mut bytes = Vec::new();
        self.contents(oids, |at, found| {
            let Some((object, content)) = found else {
                return Ok(());
            };
            if object.kind == ObjectKind::Commit {
                bytes.clear();
                content
                    .take(COMMIT)
                    .read_to_end(&mut bytes)
                    .map_err(VcsError::io("read a commit"))?;
                heads[at] = Commit::parse(&bytes);
            }
            Ok::<_, VcsError>(())
        })?;
        Ok(heads)
    }

    /// Goes on from each folder to what is called `name` in it.
    fn enter(&mut self, places: &mut [Place], name: &[u8]) -> Result<(), VcsError> {
        let folders = distinct(places, |place| match place {
            Place::Folder(oid) => Some(*oid),
            Place::Nothing | Place::File(_) => None,
        });
        let mut found = HashMap::with_capacity(folders.len());
        let (mut bytes, mut damage) = (Vec::new(), None);
        self.contents(&folders, |at, answer| {
            let Some((_, content)) = answer.filter(|(object, _)| object.kind == ObjectKind::Tree)
            else {
                damage.get_or_insert_with(|| format!("the tree {} is missing", folders[at]));
                return Ok(());
            };
            bytes.clear();
            content
                .take(TREE)
                .read_to_end(&mut bytes)
                .map_err(VcsError::io("read a tree"))?;
            let entry = entries(&bytes).flatten().find(|entry| entry.name == name);
            let place = entry.map_or(Place::Nothing, |entry| match entry.mode {
                Mode::Folder => Place::Folder(entry.oid),
                Mode::File { .. } | Mode::Link => Place::File(entry.oid),
                Mode::Submodule => Place::Nothing,
            });
            found.insert(folders[at], place);
            Ok::<_, VcsError>(())
        })?;
        if let Some(damage) = damage {
            return Err(self.damaged(damage));
        }
        for place in places {
            *place = match place {
                Place::Folder(oid) => found.get(oid).copied().unwrap_or(Place::Nothing),
                Place::Nothing | Place::File(_) => Place::Nothing,
            };
        }
        Ok(())
    }

    fn small_files(
        &mut self,
        places: &[Place],
        max_bytes: u64,
    ) -> Result<HashMap<Oid, FileContent>, VcsError> {
        let files = distinct(places, |place| match place {
            Place::File(oid) => Some(*oid),
            Place::Nothing | Place::Folder(_) => None,
        });
        let mut contents = HashMap::with_capacity(files.len());
        let mut small = Vec::with_capacity(files.len());
        for (oid, object) in files.iter().zip(self.info(&files)?) {
            let Some(object) = object.filter(|object| object.kind == ObjectKind::Blob) else {
                return Err(self.damaged(format!("the file {oid} is missing")));
            };
            if object.size <= max_bytes {
                small.push(*oid);
            } else {
                contents.insert(*oid, FileContent::TooLarge(object.size));
            }
        }
        self.contents(&small, |at, found| {
            if let Some((object, content)) = found {
                let mut bytes = Vec::with_capacity(usize::try_from(object.size).unwrap_or(0));
                content
                    .read_to_end(&mut bytes)
                    .map_err(VcsError::io("read a file"))?;
                contents.insert(small[at], FileContent::Found(Bytes::from(bytes)));
            }
            Ok::<_, VcsError>(())
        })?;
        Ok(contents)
    }
}

/// Each name once, in the order of its first place.
fn distinct(places: &[Place], of: impl Fn(&Place) -> Option<Oid>) -> Vec<Oid> {
    let mut seen = std::collections::HashSet::with_capacity(places.len());
    places
        .iter()
        .filter_map(of)
        .filter(|oid| seen.insert(*oid))
        .collect()
}
