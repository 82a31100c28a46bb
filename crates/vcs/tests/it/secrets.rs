//! A secret is in the environment of git and in files that vanish, and nowhere else.

use std::fs;
use std::path::Path;

use kapelle_testing::git::GitRepository;
use kapelle_testing::git_server::GitServer;
use kapelle_testing::ssh_server::SshServer;
use kapelle_vcs::Access;

use crate::world::{World, basic, key, url};

/// The password and what `Authorization` makes of `me:…`.
const PASSWORD: &str = "hunter2-hunter2";
const ENCODED: &str = "bWU6aHVudGVyMi1odW50ZXIy";

#[tokio::test]
async fn a_password_is_in_no_argument_no_file_and_no_error() {
    let repository = GitRepository::with_releases(&[("1.0.0", "{}")]);
    let server = GitServer::builder()
        .repository("acme/lib.git", repository.path())
        .basic_auth("me", PASSWORD)
        .start()
        .await;
    let world = World::recorded();
    let at = url(&server.url("acme/lib.git"));
    let credential = basic("me", PASSWORD);
    let access = Access {
        credential: Some(&credential),
        ..Access::anonymous(&at)
    };
    let listing = world.git.list_refs(&access).await.unwrap();
    let mirror = world.mirror();
    mirror.fetch(&access, &listing, &[]).await.unwrap();
    assert!(
        server.requests().iter().any(|request| {
            request.authorization.as_deref() == Some(&*format!("Basic {ENCODED}"))
        })
    );

    let (arguments, trace) = (world.taken("arguments"), world.taken("trace"));
    assert!(arguments.contains("ls-remote") && trace.contains("git-remote-http"));
    for text in [arguments, trace, world.taken("packets")] {
        assert!(!text.contains(PASSWORD) && !text.contains(ENCODED));
    }
    assert!(
        !holds(&world.path(), PASSWORD.as_bytes()) && !holds(&world.path(), ENCODED.as_bytes())
    );
    assert!(!format!("{credential:?}").contains(PASSWORD));

    server.change(|builder| builder.basic_auth("me", "another"));
    let error = world.git.list_refs(&access).await.unwrap_err();
    let shown = format!("{error} {error:?}");
    assert!(
        !shown.contains(PASSWORD) && !shown.contains(ENCODED),
        "{shown}"
    );
}

#[tokio::test]
async fn what_git_says_is_masked_and_stripped_of_control_characters() {
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("git");
    let body = format!(
        "printf 'fatal: \\033[31mAuthentication failed for {PASSWORD} {ENCODED}\\007\\n' >&2; exit 128"
    );
    crate::world::write_script(&script, &body);
    let world = World::with(|config| config.binary = script);
    let at = url("http://127.0.0.1:9/acme/lib.git");
    let credential = basic("me", PASSWORD);
    let access = Access {
        credential: Some(&credential),
        ..Access::anonymous(&at)
    };
    let error = world.git.list_refs(&access).await.unwrap_err().to_string();
    assert!(
        error.contains("(fatal: Authentication failed for *** ***)"),
        "{error}"
    );
}

#[tokio::test]
async fn a_private_key_is_only_in_a_folder_that_vanishes() {
    let repository = GitRepository::with_releases(&[("1.0.0", "{}")]);
    let server = SshServer::start().await;
    let world = World::recorded();
    let at = url(&server.url(&repository.path()));
    let private_key = server.private_key();
    let credential = key(&private_key);
    let access = Access {
        credential: Some(&credential),
        ..Access::anonymous(&at)
    };
    let listing = world.git.list_refs(&access).await.unwrap();
    world.mirror().fetch(&access, &listing, &[]).await.unwrap();
    let line = private_key.lines().nth(1).unwrap();
    let trace = world.taken("trace");
    let config = trace
        .split("ssh -F '")
        .nth(1)
        .unwrap()
        .split('\'')
        .next()
        .unwrap();
    assert!(!Path::new(config).parent().unwrap().exists(), "{config}");
    assert!(!trace.contains(line) && !world.taken("arguments").contains(line));
    assert!(!holds(&world.path(), line.as_bytes()));
}

#[tokio::test]
async fn git_sees_nothing_of_our_environment() {
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("git");
    crate::world::write_script(
        &script,
        &format!("env > {}/env; exit 1", folder.path().display()),
    );
    let world = World::with(|config| config.binary = script);
    drop(world.git.check().await);
    let text = fs::read_to_string(folder.path().join("env")).unwrap();
    let mut names: Vec<_> = text
        .lines()
        .filter_map(|line| line.split_once('='))
        .map(|(name, _)| name)
        .filter(|name| !name.starts_with("GIT_") && !name.starts_with("SSH_ASKPASS"))
        .filter(|name| !["PWD", "_", "SHLVL", "OLDPWD"].contains(name))
        .collect();
    names.sort_unstable();
    assert_eq!(names, ["HOME", "LC_ALL", "PATH", "TZ"]);
}

/// Whether any file below a folder contains the bytes.
fn holds(folder: &Path, needle: &[u8]) -> bool {
    fs::read_dir(folder).unwrap().any(|entry| {
        let path = entry.unwrap().path();
        if path.is_dir() {
            return holds(&path, needle);
        }
        let bytes = fs::read(&path).unwrap_or_default();
        bytes.windows(needle.len()).any(|window| window == needle)
    })
}
