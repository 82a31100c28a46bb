//! Limits: past one there is a sentence, never a crash, and what was published before stays.

use kapelle_testing::composer::Composer;
use serde_json::json;

use super::library::{Library, says};
use super::organization::Organization;
use super::world::World;

async fn still_installs(organization: &Organization, version: &str) {
    for composer in Composer::all() {
        let project = organization
            .project(&composer)
            .require("acme/core", version);
        project.run(["update"]).await.succeeded();
        assert_eq!(says(&project, "acme/core"), version);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repository_with_too_many_refs_keeps_what_was_published() {
    let world = World::with(&[("KAPELLE_VCS__MAX_REFS", "3")]).await;
    let organization = world.organization("acme").await;
    let core = Library::with_releases("acme/core", &["1.0.0", "1.1.0"]);
    organization.publish(&[&core]).await;

    core.release("1.2.0");
    let refused = organization.synchronize("acme/core").await.refused(4);
    assert!(
        refused.contains("has more than 3 branches and tags"),
        "{refused}"
    );
    assert!(refused.contains("vcs.max_refs"), "{refused}");

    still_installs(&organization, "1.1.0").await;
    core.repository.delete_ref("refs/tags/1.0.0");
    organization.synchronize("acme/core").await.succeeded();
    still_installs(&organization, "1.2.0").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_composer_json_over_the_limit_is_a_fault_of_its_ref() {
    let world = World::with(&[("KAPELLE_LIMITS__MANIFEST", "1 KiB")]).await;
    let organization = world.organization("acme").await;
    let core = Library::with_releases("acme/core", &["1.0.0"]);
    let core = core.set("extra", json!({"long": "x".repeat(1024)}));
    core.release("1.1.0");

    organization.publish(&[&core]).await;

    let faults = organization.faults("acme/core").await;
    let refs: Vec<_> = faults.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(refs, ["refs/heads/main", "refs/tags/1.1.0"]);
    assert!(faults[1].1.contains("at most 1024 are read"), "{faults:?}");
    still_installs(&organization, "1.0.0").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dist_over_a_limit_is_refused_with_the_reason_and_the_others_are_built() {
    for (setting, value, files, size, reason) in [
        (
            "KAPELLE_LIMITS__ENTRIES",
            "20",
            30,
            1,
            "more than 20 entries",
        ),
        (
            "KAPELLE_LIMITS__UNPACKED",
            "1 MiB",
            1,
            2 << 20,
            "1048576 bytes",
        ),
        (
            "KAPELLE_LIMITS__PACKED",
            "16 KiB",
            1,
            64 << 10,
            "16384 bytes",
        ),
    ] {
        let world = World::with(&[(setting, value)]).await;
        let organization = world.organization("acme").await;
        let core = Library::with_releases("acme/core", &["1.0.0"]);
        let mut commit = core.commit("main", "'1.1.0'");
        for number in 0..files {
            commit = commit.file(&format!("data/{number}"), noise(size));
        }
        core.repository.tag("1.1.0", &commit.create());
        organization.publish(&[&core]).await;

        let metadata = organization.metadata("acme/core").await;
        let newest = metadata
            .iter()
            .find(|version| version["version"] == "1.1.0");
        let url = newest.expect("it is published")["dist"]["url"].clone();
        let prefix = format!("{}/", organization.repository_url);
        let path = url.as_str().and_then(|url| url.strip_prefix(&prefix));
        let (status, body) = organization
            .get_with(&organization.token, path.expect("a URL"))
            .await;
        let body = String::from_utf8_lossy(&body).into_owned();
        assert_eq!(status, 410, "{setting}: {body}");
        assert!(
            body.contains("acme/core") && body.contains(reason),
            "{setting}: {body}"
        );

        let _hidden = core.hide();
        for composer in Composer::all() {
            let project = organization
                .project(&composer)
                .require("acme/core", "1.1.0");
            let refused = project.run(["update"]).await.failed();
            assert!(
                refused.stderr.contains("no dist can be made of acme/core"),
                "{refused}"
            );
        }
        still_installs(&organization, "1.0.0").await;
    }
}

/// Bytes that do not compress.
fn noise(size: usize) -> Vec<u8> {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[3]
    };
    (0..size).map(|_| next()).collect()
}
