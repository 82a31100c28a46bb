//! What `git archive` would put into a tar for a commit, found without it where that is certain.

use std::collections::HashMap;
use std::sync::Arc;

use crate::attributes::Attributes;
use crate::error::VcsError;
use crate::object::{Mode, ObjectKind, TreeEntry, entries};
use crate::objects::Objects;
use crate::oid::Oid;

/// Larger folders are left to git.
const LARGEST_FOLDER: u64 = 4 << 20;
/// As are commits with more bytes of folders on one level: all of them are in memory at once.
const LARGEST_LEVEL: u64 = 32 << 20;
/// The longest path.
const LONGEST_PATH: usize = 4096;
/// Bytes of all paths together. A few folders within folders make very many long ones.
const LONGEST_PATHS: usize = 64 << 20;
/// Steps of matching patterns for one commit: some seconds. What takes more is left to git, which somebody watches.
const MOST_WORK: u64 = 4_000_000_000;
/// Bytes of folders that are remembered: those that did not change are the same in the next version.
const REMEMBERED: usize = 2 << 20;
/// Files of attributes that are remembered.
const REMEMBERED_ATTRIBUTES: usize = 64;

/// A commit's files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// When the commit was made, in seconds since 1970.
    pub committed_at: i64,
    /// Each once; folders also where nothing in them is left.
    pub entries: Vec<SnapshotEntry>,
}

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnapshotEntry {
    /// From the root, without a slash at its end.
    pub path: Vec<u8>,
    /// What it is.
    pub kind: SnapshotKind,
}

/// What an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SnapshotKind {
    /// A file.
    File {
        /// Whether it may be executed.
        executable: bool,
        /// Its content.
        oid: Oid,
    },
    /// A symbolic link.
    Link {
        /// Its target.
        oid: Oid,
    },
    /// A folder.
    Folder,
    /// A submodule: an empty folder.
    Submodule,
}

/// Folders and attributes that were read before, by their names.
#[derive(Debug, Default)]
pub(crate) struct Remembered {
    folders: HashMap<Oid, Arc<[u8]>>,
    bytes: usize,
    attributes: HashMap<Oid, Arc<Attributes>>,
}

/// A folder on the way.
struct Folder {
    /// With a slash at its end; empty at the root.
    path: Vec<u8>,
    oid: Oid,
    /// The folder above it, as a place in the list of all.
    above: Option<usize>,
    /// What attributes in it say.
    attributes: Option<Arc<Attributes>>,
    /// Whether a file was seen in it or below it, left out or not.
    is_occupied: bool,
}

/// Why there is no snapshot.
enum Stopped {
    /// Only git itself can tell what the commit's archive is.
    Peculiar,
    Failed(VcsError),
}

impl From<VcsError> for Stopped {
    fn from(error: VcsError) -> Self {
        Self::Failed(error)
    }
}

impl Objects {
    /// The files of a commit, `export-ignore` applied; `None` if only [`archive`](crate::Mirror::archive) can tell: where
    /// git changes files, or might refuse some. What is left are the very files of that tar.
    pub fn snapshot(&mut self, commit: Oid) -> Result<Option<Snapshot>, VcsError> {
        let head = self.commits(&[commit])?.into_iter().next().flatten();
        let Some(head) = head else {
            // Perhaps it is damaged: then git has said so.
            self.end()?;
            let commit = commit.to_string();
            return Err(VcsError::CommitMissing { commit });
        };
        match self.walk(commit, head.tree) {
            Ok(entries) => Ok(Some(Snapshot {
                committed_at: head.time.committed / 1000,
                entries,
            })),
            Err(Stopped::Peculiar) => Ok(None),
            Err(Stopped::Failed(error)) => Err(error),
        }
    }

    /// Level by level, so that git is asked about many folders at once.
    fn walk(&mut self, commit: Oid, root: Oid) -> Result<Vec<SnapshotEntry>, Stopped> {
        let limit = self.mirror.git().config().max_tree_entries;
        let mut seen = 0;
        let mut folders = vec![Folder {
            path: Vec::new(),
            oid: root,
            above: None,
            attributes: None,
            is_occupied: false,
        }];
        let mut found = Vec::new();
        let mut level = 0;
        let mut bytes_of_paths = 0;
        let mut work = 0;
        while level < folders.len() {
            let end = folders.len();
            let contents = self.folders(&folders[level..end])?;
            self.read_attributes(&mut folders[level..end], &contents)?;
            for (at, content) in (level..end).zip(&contents) {
                let mut last = Vec::new();
                let steps = work_on(&folders, at);
                for entry in entries(content) {
                    let entry = entry.ok_or(Stopped::Peculiar)?;
                    in_order(&mut last, &entry)?;
                    seen += 1;
                    if seen > limit {
                        let commit = commit.to_string();
                        return Err(VcsError::TooManyEntries { commit, limit }.into());
                    }
                    bytes_of_paths += folders[at].path.len() + entry.name.len();
                    if bytes_of_paths > LONGEST_PATHS {
                        return Err(Stopped::Peculiar);
                    }
                    work += steps * (folders[at].path.len() + entry.name.len()) as u64;
                    if work > MOST_WORK {
                        return Err(Stopped::Peculiar);
                    }
                    take(&mut folders, at, &entry, &mut found)?;
                }
            }
            level = end;
        }
        let occupied = folders
            .into_iter()
            .skip(1)
            .filter(|folder| folder.is_occupied);
        found.extend(occupied.map(|mut folder| {
            folder.path.pop();
            SnapshotEntry {
                path: folder.path,
                kind: SnapshotKind::Folder,
            }
        }));
        Ok(found)
    }

    /// The contents of folders, in order.
    fn folders(&mut self, folders: &[Folder]) -> Result<Vec<Arc<[u8]>>, Stopped> {
        let mut contents: HashMap<Oid, Arc<[u8]>> = HashMap::with_capacity(folders.len());
        let mut unknown = Vec::new();
        for folder in folders {
            match self.remembered.folders.get(&folder.oid) {
                Some(content) => {
                    contents.insert(folder.oid, Arc::clone(content));
                }
                None => unknown.push(folder.oid),
            }
        }
        unknown.sort_unstable();
        unknown.dedup();
        let mut read = Vec::with_capacity(unknown.len());
        let (mut missing, mut level) = (None, 0);
        let mut is_peculiar = false;
        // All answers are taken, whatever the first ones are: git waits until somebody reads them.
        self.contents::<VcsError>(&unknown, |at, found| {
            match found {
                Some((object, content)) if object.kind == ObjectKind::Tree => {
                    level += object.size;
                    is_peculiar |= object.size > LARGEST_FOLDER || level > LARGEST_LEVEL;
                    if is_peculiar {
                        return Ok(());
                    }
                    let mut bytes = Vec::new();
                    content
                        .read_to_end(&mut bytes)
                        .map_err(VcsError::io("read a folder"))?;
                    read.push(Arc::<[u8]>::from(bytes));
                }
                _ => {
                    missing.get_or_insert(unknown[at]);
                    read.push(Arc::default());
                }
            }
            Ok(())
        })?;
        if is_peculiar {
            return Err(Stopped::Peculiar);
        }
        if let Some(missing) = missing {
            return Err(self
                .damaged(format!("the tree {missing} is missing"))
                .into());
        }
        for (oid, content) in unknown.into_iter().zip(read) {
            self.remembered.keep(oid, &content);
            contents.insert(oid, content);
        }
        Ok(folders
            .iter()
            .map(|folder| Arc::clone(&contents[&folder.oid]))
            .collect())
    }

    /// Reads the attributes in folders that have some.
    fn read_attributes(
        &mut self,
        folders: &mut [Folder],
        contents: &[Arc<[u8]>],
    ) -> Result<(), Stopped> {
        for (folder, content) in folders.iter_mut().zip(contents) {
            let named = |entry: &TreeEntry<'_>| entry.name == b".gitattributes";
            let Some(entry) = entries(content).flatten().find(named) else {
                continue;
            };
            let Mode::File { .. } = entry.mode else {
                return Err(Stopped::Peculiar);
            };
            folder.attributes = Some(self.attributes(entry.oid)?);
        }
        Ok(())
    }

    fn attributes(&mut self, oid: Oid) -> Result<Arc<Attributes>, Stopped> {
        if let Some(attributes) = self.remembered.attributes.get(&oid) {
            return Ok(Arc::clone(attributes));
        }
        let mut attributes = None;
        self.contents::<VcsError>(&[oid], |_, found| {
            if let Some((object, content)) = found
                && object.size <= Attributes::LARGEST
            {
                let mut bytes = Vec::new();
                content
                    .read_to_end(&mut bytes)
                    .map_err(VcsError::io("read attributes"))?;
                attributes = Attributes::parse(&bytes);
            }
            Ok(())
        })?;
        let attributes = Arc::new(attributes.ok_or(Stopped::Peculiar)?);
        if self.remembered.attributes.len() >= REMEMBERED_ATTRIBUTES {
            self.remembered.attributes.clear();
        }
        self.remembered
            .attributes
            .insert(oid, Arc::clone(&attributes));
        Ok(attributes)
    }
}

/// git has folders sorted, as if the names of folders in them ended in a slash, and each name once.
fn in_order(last: &mut Vec<u8>, entry: &TreeEntry<'_>) -> Result<(), Stopped> {
    let slash: &[u8] = if entry.mode == Mode::Folder {
        b"/"
    } else {
        b""
    };
    let this = [entry.name, slash].concat();
    if *last >= this {
        return Err(Stopped::Peculiar);
    }
    *last = this;
    Ok(())
}

/// Sorts one entry of the folder `at` in.
fn take(
    folders: &mut Vec<Folder>,
    at: usize,
    entry: &TreeEntry<'_>,
    found: &mut Vec<SnapshotEntry>,
) -> Result<(), Stopped> {
    let TreeEntry { name, mode, oid } = *entry;
    let path = [&folders[at].path, name].concat();
    if !is_plain(name) || path.len() > LONGEST_PATH {
        return Err(Stopped::Peculiar);
    }
    let is_ignored = is_ignored(folders, at, &path, mode == Mode::Folder);
    let kind = match mode {
        Mode::Folder => {
            if !is_ignored {
                folders.push(Folder {
                    path: [&path, &b"/"[..]].concat(),
                    oid,
                    above: Some(at),
                    attributes: None,
                    is_occupied: false,
                });
            }
            return Ok(());
        }
        Mode::File { executable } => SnapshotKind::File { executable, oid },
        Mode::Link => SnapshotKind::Link { oid },
        Mode::Submodule => SnapshotKind::Submodule,
    };
    // git writes a folder as soon as it meets something in it, even if that is then left out.
    let mut above = Some(at);
    while let Some(folder) = above.filter(|folder| !folders[*folder].is_occupied) {
        folders[folder].is_occupied = true;
        above = folders[folder].above;
    }
    if !is_ignored {
        found.push(SnapshotEntry { path, kind });
    }
    Ok(())
}

/// How much work it may be to judge each entry of the folder `at`, in steps for each byte of its path.
fn work_on(folders: &[Folder], at: usize) -> u64 {
    let above = |folder: &&Folder| folder.above.map(|at| &folders[at]);
    let way = std::iter::successors(Some(&folders[at]), above);
    way.filter_map(|folder| folder.attributes.as_ref())
        .map(|attributes| attributes.weight())
        .sum()
}

/// The nearest attributes that say something about a path count.
fn is_ignored(folders: &[Folder], at: usize, path: &[u8], is_folder: bool) -> bool {
    let mut folder = Some(at);
    while let Some(Folder {
        path: base,
        above,
        attributes,
        ..
    }) = folder.map(|at| &folders[at])
    {
        let said = attributes
            .as_ref()
            .and_then(|attributes| attributes.ignores(&path[base.len()..], is_folder));
        if let Some(ignored) = said {
            return ignored;
        }
        folder = *above;
    }
    false
}

/// Whether no git on any system refuses the name.
fn is_plain(name: &[u8]) -> bool {
    let lower: Vec<u8> = name
        .iter()
        .filter(|byte| byte.is_ascii())
        .map(u8::to_ascii_lowercase)
        .collect();
    let is_git = lower.strip_prefix(b".git").is_some_and(|rest| {
        rest.first()
            .is_none_or(|byte| !byte.is_ascii_alphanumeric())
    });
    !is_git
        && !lower.starts_with(b"git~")
        && name != b"."
        && name != b".."
        && !name.contains(&b'/')
        && !name.contains(&b'\\')
}

impl Remembered {
    fn keep(&mut self, oid: Oid, content: &Arc<[u8]>) {
        if self.bytes + content.len() > REMEMBERED {
            self.folders.clear();
            self.bytes = 0;
        }
        self.bytes += content.len();
        self.folders.insert(oid, Arc::clone(content));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_work_on_an_entry_is_that_of_all_attributes_above_it() {
        let attributes =
            Arc::new(Attributes::parse(b"/a* export-ignore\n*.md export-ignore\n").unwrap());
        let folder = |above, attributes: Option<&Arc<Attributes>>| Folder {
            path: Vec::new(),
            oid: Oid::parse("1111111111111111111111111111111111111111").unwrap(),
            above,
            attributes: attributes.cloned(),
            is_occupied: false,
        };
        let folders = [
            folder(None, Some(&attributes)),
            folder(Some(0), None),
            folder(Some(1), Some(&attributes)),
        ];
        assert_eq!([0, 1, 2].map(|at| work_on(&folders, at)), [6, 6, 12]);
    }

    #[test]
    fn names_that_some_git_refuses_are_left_to_git() {
        for name in [
            ".git",
            ".GIT",
            ".git ",
            ".git.",
            ".git::$INDEX",
            "git~1",
            "GIT~1",
            ".g\u{200c}it",
            ".",
            "..",
            "a\\b",
        ] {
            assert!(!is_plain(name.as_bytes()), "{name}");
        }
        for name in [
            ".gitignore",
            ".gitattributes",
            ".github",
            "git",
            "agit",
            "..a",
            "ünï",
        ] {
            assert!(is_plain(name.as_bytes()), "{name}");
        }
    }
}
