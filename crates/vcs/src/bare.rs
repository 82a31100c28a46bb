//! Bare repositories as plain files: no template, no hook, no default of the machine's git.

use std::fs;
use std::io;
use std::path::Path;

use kapelle_failpoint::reach;

const CONFIG: &str = "[core]\n\trepositoryformatversion = 0\n\tfilemode = true\n\tbare = true\n";
/// A branch that does not exist, so that nothing depends on it.
const HEAD: &str = "ref: refs/heads/kapelle-none\n";

/// Creates an empty bare repository, complete or not at all. One that exists stays.
///
/// Only for whoever holds the repository's lock.
pub(crate) fn create(path: &Path) -> io::Result<()> {
    if path.exists() {
        return Ok(());
    }
    let fresh = path.with_extension("new");
    remove_folder(&fresh)?;
    fs::create_dir_all(fresh.join("objects/pack"))?;
    fs::create_dir_all(fresh.join("refs/heads"))?;
    fs::create_dir_all(fresh.join("refs/tags"))?;
    fs::write(fresh.join("config"), CONFIG)?;
    fs::write(fresh.join("HEAD"), HEAD)?;
    reach("before a mirror is renamed");
    fs::rename(fresh, path)?;
    reach("after a mirror is renamed");
    Ok(())
}

/// Removes a repository: at once for everybody who looks, whenever its files follow.
///
/// Only for whoever holds the repository's lock.
pub(crate) fn destroy(path: &Path) -> io::Result<()> {
    finish_destroying(path)?;
    let gone = path.with_extension("gone");
    match fs::rename(path, &gone) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    reach("after a mirror is taken away");
    remove_folder(&gone)
}

/// Removes the files of a repository whose removal was cut short.
///
/// Only for whoever holds the repository's lock.
pub(crate) fn finish_destroying(path: &Path) -> io::Result<()> {
    remove_folder(&path.with_extension("gone"))
}

fn remove_folder(path: &Path) -> io::Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Removes what a killed git leaves in a repository and the next one would stumble over or never remove.
///
/// Only for whoever holds the repository's lock.
pub(crate) fn tidy(path: &Path) -> io::Result<()> {
    remove(path, false, |name| has_extension(name, "lock"))?;
    remove(&path.join("refs"), true, |name| has_extension(name, "lock"))?;
    let objects = path.join("objects");
    remove(&objects, false, |name| {
        name.starts_with("tmp_objdir-") || name.starts_with("incoming-")
    })?;
    remove(&objects.join("pack"), false, |name| {
        let temporary = name.starts_with("tmp_") || name.starts_with(".tmp-");
        temporary || has_extension(name, "keep")
    })
}

fn has_extension(name: &str, extension: &str) -> bool {
    Path::new(name)
        .extension()
        .is_some_and(|found| found == extension)
}

fn remove(folder: &Path, deep: bool, stale: impl Fn(&str) -> bool + Copy) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let is_folder = entry.file_type()?.is_dir();
        let name = entry.file_name();
        if stale(&name.to_string_lossy()) {
            tracing::info!(path = %entry.path().display(), "removing what an interrupted git left");
            if is_folder {
                fs::remove_dir_all(entry.path())?;
            } else {
                fs::remove_file(entry.path())?;
            }
        } else if deep && is_folder {
            remove(&entry.path(), deep, stale)?;
        }
    }
    Ok(())
}
