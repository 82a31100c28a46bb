//! Half packs: nobody needs them, and they may be what has filled the disk.

use std::fs::{self, File};
use std::path::PathBuf;
use std::time::Duration;

use kapelle_testing::git::GitRepository;
use kapelle_testing::git_fault::{Fault, Stage};
use kapelle_testing::git_server::GitServer;
use kapelle_vcs::{Access, Mirror};

use crate::world::{World, url};

/// The files of git's that have no name of their own yet.
fn unfinished(mirror: &Mirror) -> Vec<PathBuf> {
    let packs = fs::read_dir(mirror.path().join("objects/pack"));
    let paths = packs
        .into_iter()
        .flatten()
        .map(|entry| entry.unwrap().path());
    paths
        .filter(|path| {
            path.file_name()
                .unwrap()
                .to_str()
                .unwrap()
                .starts_with("tmp_")
        })
        .collect()
}

#[tokio::test]
async fn a_fetch_that_is_given_up_leaves_no_half_pack() {
    let repository = GitRepository::new();
    let noise: Vec<u8> = (0_u32..100_000)
        .flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes())
        .collect();
    repository.commit("main").file("noise", noise).create();
    let server = GitServer::of(&repository).await;
    let world = World::new();
    let at = url(&server.url("acme/lib.git"));
    let access = Access::anonymous(&at);
    let refs = world.git.list_refs(&access).await.unwrap();
    let mirror = world.mirror();
    server.change(|builder| builder.fault(Stage::Pack, Fault::Stall(200_000)));

    let half_there = async {
        while unfinished(&mirror).is_empty() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::select! {
        fetched = mirror.fetch(&access, &refs, &[]) => panic!("it ended: {fetched:?}"),
        () = half_there => {}
    }
    assert_eq!(unfinished(&mirror), Vec::<PathBuf>::new());
}

#[tokio::test]
async fn what_ended_processes_left_is_swept_and_mirrors_in_use_are_passed_over() {
    let repository = GitRepository::with_releases(&[("1.0.0", "{}")]);
    let world = World::new();
    let at = url(&repository.url());
    let mirror = world.mirrored(&at).await;
    let left = mirror.path().join("objects/pack/tmp_pack_Ab12Cd");
    fs::write(&left, "PACK").unwrap();
    let lock = File::options()
        .append(true)
        .open(mirror.path().with_extension("lock"))
        .unwrap();
    lock.lock().unwrap();
    world.git.sweep().unwrap();
    assert!(left.exists(), "somebody may be writing it");

    drop(lock);
    world.git.sweep().unwrap();
    assert!(!left.exists());
    assert_eq!(mirror.refs().await.unwrap().len(), 2);
}
