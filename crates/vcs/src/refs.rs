//! The refs of a mirror: one file, `packed-refs`, that is read and written as a whole.
//!
//! A mirror is ours, made without any other way of keeping refs, and only the holder of its lock changes it. So its refs
//! change all at once or not at all, and no git is started for it. Refs that have a file each, as git makes them, are
//! read as well; the next write takes them in.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write as _};
use std::path::{Path, PathBuf};

use kapelle_failpoint::reach;

use crate::error::VcsError;
use crate::mirror::Mirror;
use crate::refname;

/// Names are in the order of their bytes. What an annotated tag marks stands below it.
const HEADER: &[u8] = b"# pack-refs with: sorted \n";
/// Where refs can have files of their own.
const FOLDERS: [&str; 3] = ["refs/heads", "refs/tags", "refs/kapelle"];

/// What a ref is at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ref {
    oid: String,
    /// What that leads to in the end, where it is known to be something else.
    peeled: Option<String>,
}

impl Ref {
    pub(crate) fn at(oid: &str, commit: &str) -> Self {
        Self {
            oid: oid.to_owned(),
            peeled: (oid != commit).then(|| commit.to_owned()),
        }
    }

    /// The commit that it leads to.
    fn peel(&self) -> &str {
        self.peeled.as_ref().unwrap_or(&self.oid)
    }
}

/// All refs of a mirror by their full names: branches, tags, and our own that keep commits.
#[derive(Debug, Default)]
pub(crate) struct Refs {
    all: BTreeMap<String, Ref>,
    /// Files with one ref each.
    loose: Vec<PathBuf>,
    is_changed: bool,
}

impl Refs {
    pub(crate) fn is_changed(&self) -> bool {
        self.is_changed
    }

    /// Whether some have files of their own, or had.
    pub(crate) fn are_scattered(&self) -> bool {
        !self.loose.is_empty()
    }

    pub(crate) fn commit(&self, name: &str) -> Option<&str> {
        self.all.get(name).map(Ref::peel)
    }

    /// Keeps an object, and what it leads to, for ever.
    pub(crate) fn keep(&mut self, oid: &str) {
        self.is_changed = true;
        self.all.insert(kept(oid), Ref::at(oid, oid));
    }

    /// Moves a ref and keeps the commit that it was at, and those of refs in whose way it is: of two names, one cannot
    /// be the folder of the other.
    pub(crate) fn set(&mut self, name: &str, to: Ref) {
        while let Some(above) = refname::blocked_by(name, |other| self.all.contains_key(other)) {
            self.remove(above);
        }
        let folder = format!("{name}/");
        let below = self.all.range(folder.clone()..);
        let below = below.map(|(other, _)| other.clone());
        let below: Vec<_> = below.take_while(|it| it.starts_with(&folder)).collect();
        for other in below {
            self.remove(&other);
        }
        if self.commit(name) != Some(to.peel()) {
            self.remove(name);
        }
        self.is_changed = true;
        self.all.insert(name.to_owned(), to);
    }

    /// Drops a ref, if it is there, and keeps what it was at: of an annotated tag the tag, because only upstream says which
    /// commit it marks.
    pub(crate) fn remove(&mut self, name: &str) {
        if let Some(old) = self.all.remove(name) {
            self.keep(&old.oid);
        }
    }
}

impl Mirror {
    /// Its branches and tags: full name to commit, of annotated tags the commit they mark.
    pub async fn refs(&self) -> Result<BTreeMap<String, String>, VcsError> {
        let refs = self.read_refs().await?.all.into_iter();
        let known = refs.filter(|(name, _)| refname::check(name).is_ok());
        Ok(known
            .map(|(name, one)| (name, one.peeled.unwrap_or(one.oid)))
            .collect())
    }

    pub(crate) async fn read_refs(&self) -> Result<Refs, VcsError> {
        let path = self.path().to_owned();
        let doing = format!("list the refs of the mirror {}", path.display());
        let read = tokio::task::spawn_blocking(move || read(&path)).await;
        let read = read.map_err(io::Error::other).and_then(|read| read);
        read.map_err(VcsError::io(doing))?
            .map_err(|detail| VcsError::Corrupt {
                path: self.path().to_owned(),
                detail,
            })
    }

    /// Replaces the refs. For the holder of the lock, who has read them and fetched the objects that they are at.
    pub(crate) async fn write_refs(&self, refs: Refs) -> Result<(), VcsError> {
        let path = self.path().to_owned();
        let doing = format!("write the refs of the mirror {}", path.display());
        let written = tokio::task::spawn_blocking(move || write(&path, &refs)).await;
        let written = written.map_err(io::Error::other).and_then(|done| done);
        written.map_err(VcsError::io(doing))
    }
}

/// All refs of a repository; the inner error says what is wrong with its files.
fn read(path: &Path) -> io::Result<Result<Refs, String>> {
    let mut refs = Refs::default();
    for folder in FOLDERS {
        read_loose(&path.join(folder), folder, &mut refs)?;
    }
    // After the loose ones: a ref is in here before its file is removed.
    let packed = match fs::read(path.join("packed-refs")) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        read => read?,
    };
    Ok(packed_refs(&packed).map(|mut all| {
        all.append(&mut refs.all);
        Refs { all, ..refs }
    }))
}

/// What is no ref is passed over: a file that a crash has left empty, a lock.
fn read_loose(folder: &Path, name: &str, refs: &mut Refs) -> io::Result<()> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        let Ok(last) = entry.file_name().into_string() else {
            continue;
        };
        let name = format!("{name}/{last}");
        if entry.file_type()?.is_dir() {
            read_loose(&entry.path(), &name, refs)?;
            continue;
        }
        // It may have been packed or deleted a moment ago.
        let Ok(text) = fs::read_to_string(entry.path()) else {
            continue;
        };
        refs.loose.push(entry.path());
        let oid = text.trim_end();
        if refname::is_oid(oid) && (refname::check(&name).is_ok() || name == kept(oid)) {
            refs.all.insert(name, Ref::at(oid, oid));
        }
    }
    Ok(())
}

/// The whole file takes the place of the old one, under the name by which git locks it.
fn write(path: &Path, refs: &Refs) -> io::Result<()> {
    let fresh = path.join("packed-refs.lock");
    let mut file = BufWriter::new(File::create(&fresh)?);
    file.write_all(HEADER)?;
    for (name, Ref { oid, peeled }) in &refs.all {
        writeln!(file, "{oid} {name}")?;
        if let Some(peeled) = peeled {
            writeln!(file, "^{peeled}")?;
        }
    }
    file.into_inner()?.sync_all()?;
    // The objects' files were synced by git, but not their names.
    File::open(path.join("objects/pack"))?.sync_all()?;
    reach("before a mirror is given its refs");
    fs::rename(fresh, path.join("packed-refs"))?;
    File::open(path)?.sync_all()?;
    reach("after a mirror is given its refs");
    for file in &refs.loose {
        fs::remove_file(file)?;
    }
    Ok(())
}

/// Reads `packed-refs`: `<oid> <name>` and, for an annotated tag, `^<oid>` in the next line. The error says what is wrong.
pub(crate) fn packed_refs(content: &[u8]) -> Result<BTreeMap<String, Ref>, String> {
    let text = String::from_utf8_lossy(content);
    let mut refs: BTreeMap<String, Ref> = BTreeMap::new();
    let mut last: Option<&str> = None;
    for line in text.lines() {
        if line.starts_with("# pack-refs with:") {
            continue;
        }
        let unexpected = || Err(format!("packed-refs: unexpected line {line:?}"));
        if let Some(oid) = line.strip_prefix('^') {
            if !refname::is_oid(oid) {
                return unexpected();
            }
            if let Some(one) = last.take().and_then(|name| refs.get_mut(name)) {
                one.peeled = Some(oid.to_owned());
            }
            continue;
        }
        let Some((oid, name)) = line.split_once(' ').filter(|(oid, _)| refname::is_oid(oid)) else {
            return unexpected();
        };
        last = None;
        if name.starts_with("refs/") {
            refs.insert(name.to_owned(), Ref::at(oid, oid));
            last = Some(name);
        }
    }
    Ok(refs)
}

/// The ref that holds a commit for ever.
fn kept(commit: &str) -> String {
    format!("refs/kapelle/keep/{commit}")
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "1111111111111111111111111111111111111111";
    const B: &str = "2222222222222222222222222222222222222222";

    #[test]
    fn packed_refs_are_read_with_what_tags_mark() {
        let text = format!(
            "# pack-refs with: peeled fully-peeled sorted \n\
             {A} refs/heads/main\n{A} refs/kapelle/keep/{A}\n^{B}\n{A} refs/tags/1\n^{B}\n{A} refs/tags/2\n"
        );
        let refs = packed_refs(text.as_bytes()).unwrap();
        let ends: Vec<_> = refs
            .iter()
            .map(|(name, one)| (&**name, one.peel()))
            .collect();
        let kept = format!("refs/kapelle/keep/{A}");
        let expected = [
            ("refs/heads/main", A),
            (&kept, B),
            ("refs/tags/1", B),
            ("refs/tags/2", A),
        ];
        assert_eq!(ends, expected);
        for damaged in ["x", "x refs/heads/a", A, "^1", "\0"] {
            assert!(packed_refs(damaged.as_bytes()).is_err(), "{damaged}");
        }
    }

    #[test]
    fn of_a_tag_that_moves_the_tag_is_kept_and_not_what_upstream_says_it_marks() {
        let mut refs = Refs::default();
        let moved = "3333333333333333333333333333333333333333";
        refs.set("refs/tags/1", Ref::at(A, B));
        refs.set("refs/tags/1", Ref::at(moved, moved));
        let names: Vec<_> = refs.all.into_keys().collect();
        let kept = format!("refs/kapelle/keep/{A}");
        assert_eq!(names, [kept.as_str(), "refs/tags/1"]);
    }

    #[test]
    fn refs_in_the_way_of_another_go_and_every_commit_that_was_left_is_kept() {
        let mut refs = Refs::default();
        for (name, commit) in [
            ("refs/heads/a", A),
            ("refs/heads/b/c", B),
            ("refs/heads/b0", B),
        ] {
            refs.set(name, Ref::at(commit, commit));
        }
        let c = "3333333333333333333333333333333333333333";
        refs.set("refs/heads/a/x", Ref::at(c, c));
        refs.set("refs/heads/b", Ref::at(c, c));
        let names: Vec<_> = refs.all.into_keys().collect();
        let kept = [A, B].map(|commit| format!("refs/kapelle/keep/{commit}"));
        let expected = ["refs/heads/a/x", "refs/heads/b", "refs/heads/b0"].map(str::to_owned);
        assert_eq!(names, [&expected[..], &kept[..]].concat());
    }
}
