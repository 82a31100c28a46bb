//! The name of a folder of mirrors, by which processes tell each other who has which commits.

use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

/// Random characters of a name.
const RANDOM: usize = 16;

/// The name that is kept in `folder`, or a new one, the same for all processes that ask at once. A copy of the folder gets
/// another name: what will be fetched into one of the two is not in the other.
pub(crate) fn name(folder: &Path) -> io::Result<String> {
    let lock = fs::File::create(folder.join("lock"))?;
    lock.lock()?;
    let path = folder.join("depot");
    if let Some(name) = read(&path)? {
        return Ok(name);
    }
    let mut file = tempfile::Builder::new()
        .prefix("")
        .rand_bytes(RANDOM)
        .tempfile_in(folder)?;
    // Its random name is the name; its number tells it from a copy.
    let random = file.path().file_name().unwrap_or_default();
    let text = format!(
        "{} {}",
        random.to_string_lossy(),
        file.as_file().metadata()?.ino()
    );
    file.write_all(text.as_bytes())?;
    file.as_file().sync_all()?;
    file.persist(&path).map_err(|error| error.error)?;
    read(&path)?.ok_or_else(|| io::Error::other("the name of the folder does not stay"))
}

fn read(path: &Path) -> io::Result<Option<String>> {
    let (text, number) = match fs::File::open(path) {
        Ok(file) => (io::read_to_string(&file)?, file.metadata()?.ino()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let name = text
        .split_once(' ')
        .filter(|(name, noted)| name.len() == RANDOM && *noted == number.to_string());
    Ok(name.map(|(name, _)| name.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_keeps_its_name_and_a_copy_gets_another() {
        let folder = tempfile::tempdir().unwrap();
        let first = name(folder.path()).unwrap();
        assert_eq!(first.len(), RANDOM);
        assert_eq!(name(folder.path()).unwrap(), first);

        let copy = tempfile::tempdir().unwrap();
        fs::copy(folder.path().join("depot"), copy.path().join("depot")).unwrap();
        let second = name(copy.path()).unwrap();
        assert_ne!(second, first);
        assert_eq!(name(copy.path()).unwrap(), second);
    }

    #[test]
    fn all_who_come_first_at_once_get_one_name() {
        let folder = tempfile::tempdir().unwrap();
        let names = std::thread::scope(|scope| {
            let asking: Vec<_> = (0..8)
                .map(|_| scope.spawn(|| name(folder.path()).unwrap()))
                .collect();
            let names = asking.into_iter().map(|asked| asked.join().unwrap());
            names.collect::<std::collections::BTreeSet<_>>()
        });
        assert_eq!(names.len(), 1, "{names:?}");
    }

    #[test]
    fn a_name_that_was_never_written_whole_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("depot"), "half").unwrap();
        let made = name(folder.path()).unwrap();
        assert_eq!(name(folder.path()).unwrap(), made);
    }
}
