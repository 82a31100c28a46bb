//! Where the dists of one package are made, with what one leaves to the next: an open git, and compressed files.
//!
//! Versions that follow each other have most files in common: what was compressed for one dist is used for the next.

use std::collections::HashMap;
use std::io::{BufWriter, Read, Seek};
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use kapelle_archive::{
    DistBuilder, DistOptions, DistReport, Limits as ArchiveLimits, Packed, Packer,
};
use kapelle_composer::ArchiveExclude;
use kapelle_storage::db::packages::Package;
use kapelle_vcs::{Mirror, Object, Objects, Oid, Snapshot, SnapshotKind, VcsError};
use tempfile::NamedTempFile;

use super::build::{Failure, excluded, top_directory};
use crate::registry::Registry;

/// Larger files are compressed into the dist, and are not kept.
const SMALL: u64 = 512 * 1024;
/// Bytes of compressed files that are kept for all workshops together, of either generation.
const KEPT: usize = 6 << 20;
/// The longest target of a link that is judged here.
const LONGEST_LINK: u64 = 4096;

/// Makes dists of one package, any number at once.
#[derive(Debug)]
pub(crate) struct Workshop {
    pub(super) mirror: Mirror,
    benches: Mutex<Vec<Bench>>,
    package_id: i64,
}

/// What one build at a time works with.
#[derive(Debug)]
struct Bench {
    objects: Objects,
    packer: Packer,
}

/// Compressed files of packages by the names of their contents; no package gets what another one brought. When the new
/// generation is full, the old one is forgotten.
#[derive(Debug, Default)]
pub(crate) struct Kept(Mutex<Generations>);

#[derive(Debug, Default)]
struct Generations {
    new: HashMap<(i64, Oid), Packed>,
    weight: usize,
    old: HashMap<(i64, Oid), Packed>,
}

/// Everything that one build needs to know.
struct Order {
    commit: Oid,
    manifest: u64,
    top_directory: String,
    limits: ArchiveLimits,
    spool: PathBuf,
    package_id: i64,
    registry: Registry,
}

/// A dist that is not stored yet.
pub(super) struct Made {
    pub(super) file: NamedTempFile,
    pub(super) report: DistReport,
    /// What its file name ends in.
    pub(super) extension: &'static str,
}

impl Made {
    /// Of a commit: those are always zip.
    pub(super) fn zip(file: NamedTempFile, report: DistReport) -> Self {
        Self {
            file,
            report,
            extension: "zip",
        }
    }
}

/// Why nothing was made.
enum Stopped {
    /// Only `git archive` can tell what is in the dist.
    Peculiar,
    Failed(Failure),
}

impl<E: Into<Failure>> From<E> for Stopped {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

impl Workshop {
    /// For the package's repository as far as it is mirrored here.
    pub(crate) fn of(registry: &Registry, package: &Package) -> Self {
        Self {
            mirror: registry.parts.git.mirror(package.id),
            benches: Mutex::default(),
            package_id: package.id,
        }
    }

    /// Makes the dist of a commit; `None` if that takes `git archive`.
    pub(super) async fn make(
        &self,
        registry: &Registry,
        package: &Package,
        reference: &str,
    ) -> Result<Option<Made>, Failure> {
        let limits = registry.limits();
        let order = Order {
            commit: Oid::parse(reference)?,
            manifest: limits.manifest,
            top_directory: top_directory(package, reference),
            limits: super::build::archive_limits(registry),
            spool: registry.parts.temporary.clone(),
            package_id: self.package_id,
            registry: registry.clone(),
        };
        let Bench {
            objects,
            mut packer,
        } = self.bench().await?;
        let worked = objects.work(move |objects| {
            let made = order.carry_out(objects, &mut packer)?;
            Ok((made, packer))
        });
        match worked.await {
            Ok((objects, (made, packer))) => {
                let mut benches = self.benches.lock().unwrap_or_else(PoisonError::into_inner);
                benches.push(Bench { objects, packer });
                Ok(Some(made))
            }
            Err(Stopped::Peculiar) => Ok(None),
            Err(Stopped::Failed(failure)) => Err(failure),
        }
    }

    async fn bench(&self) -> Result<Bench, Failure> {
        let free = self
            .benches
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .pop();
        if let Some(bench) = free {
            return Ok(bench);
        }
        let objects = self.mirror.open().await?.ok_or_else(Failure::no_copy)?;
        Ok(Bench {
            objects,
            packer: Packer::default(),
        })
    }
}

impl Order {
    fn carry_out(self, objects: &mut Objects, packer: &mut Packer) -> Result<Made, Stopped> {
        let snapshot = objects.snapshot(self.commit)?.ok_or(Stopped::Peculiar)?;
        let manifest = objects.files(&[self.commit], "composer.json", self.manifest)?;
        let manifest = manifest.into_iter().next().map(|file| file.content);
        let exclude = ArchiveExclude::new(&excluded(manifest.ok_or_else(Failure::no_copy)?)?);
        let options = DistOptions {
            top_directory: &self.top_directory,
            exclude: &|path: &str| exclude.excludes(path),
            submodules: false,
            modified_at: snapshot.committed_at,
            limits: &self.limits,
            spool: &self.spool,
        };
        let mut builder = DistBuilder::new(&options)?;
        let fresh = self.add_kept(&snapshot, &mut builder)?;
        self.add_fresh(&snapshot, &fresh, objects, packer, &mut builder)?;
        let mut file = NamedTempFile::new_in(&self.spool)?;
        let report = builder.finish(BufWriter::new(file.as_file_mut()))?;
        file.as_file_mut().rewind()?;
        Ok(Made::zip(file, report))
    }

    /// Adds all that takes no content, or content that is kept; gives the places of the rest, with their contents.
    fn add_kept(
        &self,
        snapshot: &Snapshot,
        builder: &mut DistBuilder<'_>,
    ) -> Result<Vec<(usize, Oid)>, Stopped> {
        let mut fresh = Vec::new();
        for (at, entry) in snapshot.entries.iter().enumerate() {
            match entry.kind {
                SnapshotKind::Folder => builder.directory(&entry.path)?,
                SnapshotKind::Submodule => builder.submodule(&entry.path)?,
                SnapshotKind::Link { oid } => {
                    if builder.wants(&entry.path)? {
                        fresh.push((at, oid));
                    }
                }
                SnapshotKind::File { executable, oid } => {
                    if !builder.wants(&entry.path)? {
                        continue;
                    }
                    let kept = self.registry.kept.lock().find((self.package_id, oid));
                    match kept {
                        Some(packed) => builder.packed(&entry.path, executable, &packed)?,
                        None => fresh.push((at, oid)),
                    }
                }
            }
        }
        Ok(fresh)
    }

    fn add_fresh(
        &self,
        snapshot: &Snapshot,
        fresh: &[(usize, Oid)],
        objects: &mut Objects,
        packer: &mut Packer,
        builder: &mut DistBuilder<'_>,
    ) -> Result<(), Stopped> {
        let oids: Vec<Oid> = fresh.iter().map(|(_, oid)| *oid).collect();
        objects.contents(&oids, |place, found| {
            let (at, oid) = fresh[place];
            let (Object { size, .. }, content) = found.ok_or(Stopped::Peculiar)?;
            let entry = &snapshot.entries[at];
            match entry.kind {
                SnapshotKind::File { executable, .. } if size <= SMALL => {
                    let file = packer.pack(content, size)?;
                    builder.packed(&entry.path, executable, &file)?;
                    self.registry.kept.lock().keep((self.package_id, oid), file);
                }
                SnapshotKind::File { executable, .. } => {
                    builder.file(&entry.path, executable, content, size)?;
                }
                _ => builder.link(&entry.path, &target(content, size)?)?,
            }
            Ok(())
        })
    }
}

/// Where a link leads. What a tar may hold otherwise is left to git.
fn target(content: &mut dyn Read, size: u64) -> Result<Vec<u8>, Stopped> {
    let mut target = Vec::new();
    if size > LONGEST_LINK {
        return Err(Stopped::Peculiar);
    }
    content
        .read_to_end(&mut target)
        .map_err(|error| VcsError::Io {
            doing: "read a link".to_owned(),
            source: error,
        })?;
    if target.is_empty() || target.contains(&0) {
        return Err(Stopped::Peculiar);
    }
    Ok(target)
}

impl Kept {
    fn lock(&self) -> MutexGuard<'_, Generations> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Generations {
    fn find(&mut self, name: (i64, Oid)) -> Option<Packed> {
        if let Some(packed) = self.new.get(&name) {
            return Some(packed.clone());
        }
        let packed = self.old.remove(&name)?;
        self.keep(name, packed.clone());
        Some(packed)
    }

    fn keep(&mut self, name: (i64, Oid), packed: Packed) {
        let weight = packed.weight();
        if self.weight + weight > KEPT {
            self.old = std::mem::take(&mut self.new);
            self.weight = 0;
        }
        self.weight += weight;
        self.new.insert(name, packed);
    }
}
