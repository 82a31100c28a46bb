//! Tags and branches that give no version: each is reported, and loses nothing else.

use std::collections::BTreeMap;

use kapelle_testing::composer::Composer;
use serde_json::json;

use super::library::{Library, says};
use super::world::World;

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_a_ref_is_said_of_that_ref_and_the_others_are_published() {
    let world = World::start().await;
    let organization = world.organization("acme").await;
    let core = Library::with_releases("acme/core", &["1.0.0", "1.1.0"]);
    let good = core.repository.resolve("1.1.0").expect("the release");
    core.repository.tag("v1.0.0", &good);
    core.repository.tag("nightly", &good);
    let odd = |tag: &str, manifest: &str| {
        let commit = core
            .repository
            .commit("odd")
            .onto(&good)
            .file("composer.json", manifest);
        core.repository.tag(tag, &commit.create());
    };
    odd(
        "1.2.0",
        &json!({"name": "acme/core", "version": "1.3.0"}).to_string(),
    );
    odd("1.4.0", "{\"name\": \"acme/core\",}");
    odd(
        "1.5.0",
        &json!({"name": "acme/core", "require": {"acme/kit": "one"}}).to_string(),
    );
    odd(
        "1.6.0",
        &json!({"name": "acme/core", "bin": ["../../evil"]}).to_string(),
    );
    odd(
        "1.7.0",
        &json!({"name": "acme/core", "extra": "x".repeat(2 << 20)}).to_string(),
    );
    let bare = core
        .repository
        .commit("odd")
        .onto(&good)
        .remove("composer.json");
    core.repository.tag("1.8.0", &bare.create());
    core.repository.delete_ref("refs/heads/odd");

    organization.publish(&[&core]).await;

    let versions = organization.versions("acme/core").await;
    assert_eq!(versions, ["1.1.0", "1.0.0", "dev-main"]);
    let faults: BTreeMap<_, _> = organization.faults("acme/core").await.into_iter().collect();
    let expected = [
        ("v1.0.0", "comes from refs/tags/1.0.0 already"),
        ("nightly", "nightly"),
        ("1.2.0", "1.3.0"),
        ("1.4.0", "JSON"),
        ("1.5.0", "acme/kit"),
        ("1.6.0", "bin"),
        ("1.7.0", "at most 1048576 are read"),
        ("1.8.0", "there is no composer.json"),
    ];
    assert_eq!(faults.len(), expected.len(), "{faults:#?}");
    for (tag, reason) in expected {
        let fault = &faults[&format!("refs/tags/{tag}")];
        assert!(fault.contains(reason), "{tag}: {fault}");
    }
    for composer in Composer::all() {
        let project = organization.project(&composer).require("acme/core", "^1.0");
        project.run(["update"]).await.succeeded();
        assert_eq!(says(&project, "acme/core"), "1.1.0");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn names_of_refs_are_never_commands_options_or_paths() {
    let world = World::start().await;
    let organization = world.organization("acme").await;
    let core = Library::with_releases("acme/core", &["1.0.0"]);
    let commit = core.repository.resolve("1.0.0").expect("the release");
    let names = [
        "refs/heads/$(touch${IFS}witness)",
        "refs/heads/`touch${IFS}witness`",
        "refs/heads/;touch${IFS}witness;",
        "refs/heads/a|touch${IFS}witness",
        "refs/heads/a&touch${IFS}witness",
        "refs/heads/'quoted\"",
        "refs/heads/-oops",
        "refs/heads/--upload-pack=touch${IFS}witness",
        "refs/tags/-1.0.0",
        "refs/tags/--help",
        "refs/tags/%2e%2e%2fescape",
        "refs/heads/<script>alert(1)</script>",
    ];
    for name in names {
        core.repository.set_odd_ref(name, &commit);
    }

    organization.publish(&[&core]).await;
    organization.wait_for_dists("acme/core").await;

    let versions = organization.versions("acme/core").await;
    assert!(versions.contains(&"1.0.0".to_owned()), "{versions:?}");
    for entry in walk(world.folder()) {
        let name = entry
            .file_name()
            .expect("a name")
            .to_string_lossy()
            .into_owned();
        assert!(name != "witness" && name != "escape", "{}", entry.display());
    }
    for composer in Composer::all() {
        for constraint in ["^1.0", "dev-main"] {
            let project = organization
                .project(&composer)
                .require("acme/core", constraint)
                .set("minimum-stability", "dev")
                .set("prefer-stable", true);
            project.run(["update"]).await.succeeded();
            assert_eq!(says(&project, "acme/core"), "1.0.0");
            project.run(["show", "-a", "acme/core"]).await.succeeded();
        }
    }
}

/// Every file and folder below a folder.
fn walk(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten() {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            all.extend(walk(&path));
        }
        all.push(path);
    }
    all
}
