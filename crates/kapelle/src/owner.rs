//! Whose the data folder is: what another user writes there, its owner cannot use.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

const ROOT: u32 = 0;
/// Where the names of users are.
const USERS: &str = "/etc/passwd";
/// What Kapelle makes in the data folder; a mount point may hold more, such as `lost+found`.
const OURS: [&str; 9] = [
    "blobs",
    "demo",
    "kapelle.sqlite",
    "kapelle.sqlite-shm",
    "kapelle.sqlite-wal",
    "mirrors",
    "secret.key",
    "tls",
    "tmp",
];

/// The data folder is somebody else's.
#[derive(Debug, thiserror::Error)]
#[error("{}: {}", self.finding(), self.advice())]
pub(crate) struct ForeignFolder {
    path: PathBuf,
    owner: u32,
    caller: u32,
}

impl ForeignFolder {
    /// What is the case.
    pub(crate) fn finding(&self) -> String {
        format!(
            "the data folder {} belongs to {}, and this runs as {}",
            self.path.display(),
            shown(self.owner),
            shown(self.caller)
        )
    }

    /// What to do.
    pub(crate) fn advice(&self) -> String {
        let owner = name(self.owner).unwrap_or_else(|| format!("'#{}'", self.owner));
        format!("run it as its owner: `sudo -u {owner} kapelle …`")
    }
}

/// Refuses a folder whose owner could not use what this process would write into it.
pub(crate) fn check(folder: &Path) -> anyhow::Result<()> {
    let (owner, caller) = (std::fs::metadata(folder)?.uid(), caller());
    if may_write(owner, caller) {
        return Ok(());
    }
    let path = folder.to_owned();
    Err(ForeignFolder {
        path,
        owner,
        caller,
    }
    .into())
}

/// Root prepares folders for others, such as the volumes of containers: who may write there is told by its mode.
fn may_write(owner: u32, caller: u32) -> bool {
    owner == caller || owner == ROOT
}

/// The first of our own files that belongs to somebody else, with that user: what a command left that ran as another user.
pub(crate) fn stranger(data: &Path) -> io::Result<Option<(PathBuf, String)>> {
    for path in OURS.map(|name| data.join(name)) {
        if !path.exists() {
            continue;
        }
        if let Some(found) = foreign(&path)? {
            return Ok(Some(found));
        }
        if path.is_dir() {
            for entry in std::fs::read_dir(&path)? {
                if let Some(found) = foreign(&entry?.path())? {
                    return Ok(Some(found));
                }
            }
        }
    }
    Ok(None)
}

/// Other processes come and go, and their files with them.
fn foreign(path: &Path) -> io::Result<Option<(PathBuf, String)>> {
    match std::fs::symlink_metadata(path) {
        Ok(about) if about.uid() != caller() => Ok(Some((path.to_owned(), shown(about.uid())))),
        Ok(_) => Ok(None),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// The user this process runs as, by name where there is one.
pub(crate) fn myself() -> String {
    name(caller()).unwrap_or_else(|| caller().to_string())
}

fn caller() -> u32 {
    rustix::process::geteuid().as_raw()
}

fn shown(user: u32) -> String {
    name(user).unwrap_or_else(|| format!("user {user}"))
}

/// A container may know no names; then numbers are shown.
fn name(user: u32) -> Option<String> {
    let users = std::fs::read_to_string(USERS).ok()?;
    users.lines().find_map(|line| {
        let mut fields = line.split(':');
        let (name, id) = (fields.next()?, fields.nth(1)?);
        (id == user.to_string()).then(|| name.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_for_its_owner_and_root_s_folder_for_whom_its_mode_admits() {
        assert!(may_write(1000, 1000) && may_write(0, 0) && may_write(0, 1000));
        assert!(!may_write(1000, 0) && !may_write(1000, 1001));
    }

    #[test]
    fn the_sentence_names_folder_owner_and_command() {
        let foreign = ForeignFolder {
            path: "/var/lib/kapelle".into(),
            owner: 4_000_000_001,
            caller: 0,
        };
        assert_eq!(
            foreign.to_string(),
            "the data folder /var/lib/kapelle belongs to user 4000000001, and this runs as root: \
             run it as its owner: `sudo -u '#4000000001' kapelle …`"
        );
    }
}
