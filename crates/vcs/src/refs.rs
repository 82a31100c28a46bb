//! The branches and tags of a mirror, read from its files: git keeps them in `packed-refs` and in a file each.
//!
//! A mirror is ours, made without any other way of keeping refs. Starting git takes longer than reading these files.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::io::Read as _;
use std::path::Path;

use crate::error::VcsError;
use crate::mirror::Mirror;
use crate::object::ObjectKind;
use crate::objects::Objects;
use crate::oid::Oid;
use crate::refname;

/// So many refs in files of their own make reading them slow.
pub(crate) const MANY_FILES: usize = 50;
/// How many tags may mark each other.
const NESTED: usize = 20;
/// How much of a tag is read: what it marks stands in its first line.
const TAG: u64 = 4096;

/// Where a ref is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ref {
    /// The object that its file names.
    pub(crate) oid: String,
    /// What that leads to in the end, as far as the files say.
    peeled: Option<String>,
    /// Whether it has a file of its own.
    pub(crate) is_loose: bool,
}

impl Mirror {
    /// Its branches and tags: full name to commit, of annotated tags the commit they mark.
    pub async fn refs(&self) -> Result<BTreeMap<String, String>, VcsError> {
        let refs = self.read_refs().await?;
        self.peel(&refs, |_, _| None).await
    }

    /// The full names of its branches and tags.
    pub async fn ref_names(&self) -> Result<BTreeSet<String>, VcsError> {
        Ok(self.read_refs().await?.into_keys().collect())
    }

    /// Its branches and tags as their files have them.
    pub(crate) async fn read_refs(&self) -> Result<BTreeMap<String, Ref>, VcsError> {
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

    /// What refs lead to. git is asked about those of which neither their files nor `known` (by name and object) say.
    pub(crate) async fn peel(
        &self,
        refs: &BTreeMap<String, Ref>,
        known: impl Fn(&str, &str) -> Option<String>,
    ) -> Result<BTreeMap<String, String>, VcsError> {
        let mut peeled = BTreeMap::new();
        let mut unknown = BTreeSet::new();
        for (name, one) in refs {
            match one.peeled.clone().or_else(|| known(name, &one.oid)) {
                Some(end) => {
                    peeled.insert(name.clone(), end);
                }
                None => {
                    unknown.insert(Oid::parse(&one.oid)?);
                }
            }
        }
        if unknown.is_empty() {
            return Ok(peeled);
        }
        if let Some(objects) = self.open().await? {
            let unknown: Vec<Oid> = unknown.into_iter().collect();
            let (objects, ends) = objects.work(move |it| it.ends_of(&unknown)).await?;
            objects.close().await?;
            let rest = refs.iter().filter_map(|(name, one)| {
                let end = ends.get(&one.oid).filter(|_| !peeled.contains_key(name))?;
                Some((name.clone(), end.clone()))
            });
            let rest: Vec<_> = rest.collect();
            peeled.extend(rest);
        }
        Ok(peeled)
    }
}

impl Objects {
    /// Follows tags to what they mark in the end. What leads nowhere is left out.
    fn ends_of(&mut self, oids: &[Oid]) -> Result<BTreeMap<String, String>, VcsError> {
        let mut steps: Vec<(Oid, Oid)> = oids.iter().map(|oid| (*oid, *oid)).collect();
        let mut ends = BTreeMap::new();
        for _ in 0..NESTED {
            let at: Vec<Oid> = steps.iter().map(|(_, at)| *at).collect();
            let mut next = Vec::new();
            self.contents(&at, |place, found| {
                let (start, at) = steps[place];
                match found {
                    Some((object, content)) if object.kind == ObjectKind::Tag => {
                        let mut bytes = Vec::new();
                        content
                            .take(TAG)
                            .read_to_end(&mut bytes)
                            .map_err(VcsError::io("read a tag"))?;
                        next.extend(marked(&bytes).map(|marked| (start, marked)));
                    }
                    Some(_) => {
                        ends.insert(start.to_string(), at.to_string());
                    }
                    None => {}
                }
                Ok::<_, VcsError>(())
            })?;
            steps = next;
            if steps.is_empty() {
                break;
            }
        }
        Ok(ends)
    }
}

/// `object <oid>` in a tag's first line.
fn marked(tag: &[u8]) -> Option<Oid> {
    let line = tag.split(|byte| *byte == b'\n').next()?;
    Oid::parse(str::from_utf8(line.strip_prefix(b"object ")?).ok()?).ok()
}

/// All refs of a repository; the inner error says what is wrong with its files.
fn read(path: &Path) -> io::Result<Result<BTreeMap<String, Ref>, String>> {
    let mut loose = BTreeMap::new();
    for folder in ["refs/heads", "refs/tags"] {
        read_loose(&path.join(folder), folder, &mut loose)?;
    }
    // After the loose ones: git packs a ref before it removes its file.
    let packed = match fs::read(path.join("packed-refs")) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        read => read?,
    };
    Ok(packed_refs(&packed).map(|mut refs| {
        refs.extend(loose);
        refs
    }))
}

/// What is no ref is passed over: a file that a crash has left empty, a lock.
fn read_loose(folder: &Path, name: &str, refs: &mut BTreeMap<String, Ref>) -> io::Result<()> {
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
        let oid = text.trim_end();
        if refname::is_oid(oid) && refname::check(&name).is_ok() {
            let is_branch = name.starts_with("refs/heads/");
            let one = Ref {
                oid: oid.to_owned(),
                peeled: is_branch.then(|| oid.to_owned()),
                is_loose: true,
            };
            refs.insert(name, one);
        }
    }
    Ok(())
}

/// Reads `packed-refs`: `<oid> <name>` and, for an annotated tag, `^<oid>` in the next line. The error says what is wrong.
pub(crate) fn packed_refs(content: &[u8]) -> Result<BTreeMap<String, Ref>, String> {
    let text = String::from_utf8_lossy(content);
    let mut refs = BTreeMap::new();
    let mut is_peeled = false;
    let mut last: Option<String> = None;
    for line in text.lines() {
        if let Some(header) = line.strip_prefix("# pack-refs with:") {
            is_peeled = header.split(' ').any(|word| word == "fully-peeled");
            continue;
        }
        let unexpected = || Err(format!("packed-refs: unexpected line {line:?}"));
        if let Some(oid) = line.strip_prefix('^') {
            if !refname::is_oid(oid) {
                return unexpected();
            }
            if let Some(one) = last.take().and_then(|name| refs.get_mut(&name)) {
                let one: &mut Ref = one;
                one.peeled = Some(oid.to_owned());
            }
            continue;
        }
        let Some((oid, name)) = line.split_once(' ').filter(|(oid, _)| refname::is_oid(oid)) else {
            return unexpected();
        };
        last = None;
        // Others are our own: commits that are kept.
        if refname::check(name).is_ok() {
            let is_end = is_peeled || name.starts_with("refs/heads/");
            let one = Ref {
                oid: oid.to_owned(),
                peeled: is_end.then(|| oid.to_owned()),
                is_loose: false,
            };
            refs.insert(name.to_owned(), one);
            last = Some(name.to_owned());
        }
    }
    Ok(refs)
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "1111111111111111111111111111111111111111";
    const B: &str = "2222222222222222222222222222222222222222";

    fn ends(text: &str) -> Vec<(String, Option<String>)> {
        let refs = packed_refs(text.as_bytes()).unwrap();
        refs.into_iter()
            .map(|(name, one)| (name, one.peeled))
            .collect()
    }

    #[test]
    fn packed_refs_are_read_with_what_tags_mark() {
        let header = "# pack-refs with: peeled fully-peeled sorted \n";
        let lines = format!(
            "{A} refs/heads/main\n{A} refs/kapelle/keep/{A}\n^{B}\n{A} refs/tags/1\n^{B}\n{A} refs/tags/2\n"
        );
        let [main, one, two] = ["refs/heads/main", "refs/tags/1", "refs/tags/2"].map(str::to_owned);
        let (a, b) = (Some(A.to_owned()), Some(B.to_owned()));
        let expected = [
            (main.clone(), a.clone()),
            (one.clone(), b.clone()),
            (two.clone(), a.clone()),
        ];
        assert_eq!(ends(&format!("{header}{lines}")), expected);
        // Without that promise a tag's end is not known.
        assert_eq!(ends(&lines), [(main, a), (one, b), (two, None)]);
        for damaged in ["x", "x refs/heads/a", A, "^1", "\0"] {
            assert!(packed_refs(damaged.as_bytes()).is_err(), "{damaged}");
        }
    }

    #[test]
    fn a_tag_marks_what_its_first_line_names() {
        let tag = format!("object {A}\ntype commit\n");
        assert_eq!(marked(tag.as_bytes()).unwrap().to_string(), A);
        assert_eq!(marked(b"type commit\nobject x"), None);
    }
}
