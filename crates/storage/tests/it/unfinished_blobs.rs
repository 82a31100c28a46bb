//! What a killed writer leaves in a folder of blobs.

use std::fs::{self, File};
use std::time::{Duration, UNIX_EPOCH};

use kapelle_storage::blobs::{Blobs, BlobsConfig};
use tempfile::TempDir;

const OLD: i64 = 1_000_000;

#[tokio::test]
async fn files_that_nobody_finishes_any_more_are_removed_and_no_others() {
    let folder = TempDir::new().unwrap();
    let blobs = Blobs::open(&BlobsConfig::new(format!(
        "file:{}",
        folder.path().display()
    )))
    .unwrap();
    let inside = folder.path().join("ab/ab");
    fs::create_dir_all(&inside).unwrap();
    let name = "ab".repeat(32);
    let (old, older) = (OLD, OLD - 1);
    let files = [
        (name.clone(), older, true),
        (format!("{name}#1"), older, false),
        (format!("{name}#23"), older, false),
        (format!("{name}#2"), old, true),
        (format!("{name}#notes"), older, true),
        ("readme#1".to_owned(), older, true),
    ];
    for (name, modified_at, _) in &files {
        let file = File::create(inside.join(name)).unwrap();
        let since = Duration::from_millis(u64::try_from(*modified_at).unwrap());
        file.set_modified(UNIX_EPOCH + since).unwrap();
    }
    assert_eq!(blobs.drop_unfinished(OLD).await.unwrap(), 2);
    for (name, _, stays) in &files {
        assert_eq!(inside.join(name).exists(), *stays, "{name}");
    }
}
