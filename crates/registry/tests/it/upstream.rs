//! Upstreams that hang, die in the middle and send garbage: what is published stays, and the next good answer is enough.

use std::cell::Cell;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use kapelle_registry::clock::{HOUR, MINUTE};
use kapelle_registry::jobs::{self, End, Ran};
use kapelle_registry::{Actor, package};
use kapelle_storage::db::packages::Package;
use kapelle_testing::git::GitRepository;
use kapelle_testing::git_fault::{Fault, Stage};
use kapelle_testing::git_server::GitServer;
use kapelle_testing::on_both_databases;
use kapelle_vcs::GitConfig;

use crate::world::{Arrangement, ChangeGit, World};

const LIB: &str = r#"{"name": "acme/lib"}"#;
const NOWHERE: &str = "1111111111111111111111111111111111111111";

/// A package with 1.0.0 published from a server that answers well, and 1.1.0 there to be fetched.
struct Upstream {
    world: World,
    repository: GitRepository,
    server: GitServer,
    package: Package,
    commit: String,
    dist: Vec<u8>,
    /// The job that waits for its next attempt.
    waiting: Cell<Option<i64>>,
}

impl Upstream {
    async fn new(url: &str) -> Self {
        Self::with(url, |_, _| {}).await
    }

    async fn with(url: &str, change_git: ChangeGit) -> Self {
        let arrangement = Arrangement {
            change_git,
            ..Arrangement::default()
        };
        let world = World::arranged(url, arrangement).await;
        let repository = GitRepository::with_releases(&[("1.0.0", LIB)]);
        let server = GitServer::of(&repository).await;
        let package = world.add_url(&server.url("acme/lib.git")).await;
        world.work().await;
        let commit = repository.resolve("refs/tags/1.0.0").unwrap();
        let dist = world.dist("acme/lib", &commit).await;
        // Not to be compressed: a pack of some size, so that there is a middle to break off in.
        let noise: Vec<u8> = (0_u32..100_000)
            .flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes())
            .collect();
        let next = repository
            .commit("main")
            .file("composer.json", LIB)
            .file("noise", noise)
            .create();
        repository.tag("1.1.0", &next);
        Self {
            world,
            repository,
            server,
            package,
            commit,
            dist,
            waiting: Cell::default(),
        }
    }

    fn spoil(&self, stage: Stage, fault: Fault) {
        self.server.change(|builder| builder.fault(stage, fault));
    }

    /// Synchronizes once: the job is to be tried again, with nothing changed; gives its sentence.
    async fn fails(&self) -> String {
        if let Some(before) = self.waiting.take() {
            jobs::cancel(&self.world.registry, &Actor::Operator, before)
                .await
                .unwrap();
        }
        let ran = self.sync().await;
        assert_eq!(ran.end, End::Again, "{ran:?}");
        self.waiting.set(Some(ran.id));
        assert_eq!(
            self.world.numbers("p2/acme/lib.json").await,
            ["1.0.0"],
            "{ran:?}"
        );
        assert_eq!(self.world.dist("acme/lib", &self.commit).await, self.dist);
        let error = self.world.now(&self.package).await.sync_error.unwrap();
        assert_eq!(error, ran.message);
        self.mirror_is_sound();
        assert_eq!(self.leftovers(), Vec::<String>::new(), "{ran:?}");
        ran.message
    }

    /// Half packs that fill the disk and that nobody needs.
    fn leftovers(&self) -> Vec<String> {
        let packs = fs::read_dir(self.world.mirror(&self.package).join("objects/pack")).unwrap();
        let names = packs.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.filter(|name| name.starts_with("tmp_")).collect()
    }

    async fn sync(&self) -> Ran {
        package::sync(&self.world.registry, &Actor::Operator, &self.package)
            .await
            .unwrap();
        self.world.worker.run_next().await.unwrap().unwrap()
    }

    /// With good answers again, the waiting job does it.
    async fn heals(&self) {
        self.server
            .change(kapelle_testing::git_server::GitServerBuilder::without_fault);
        self.world.clock.advance(HOUR + MINUTE);
        self.world.work().await;
        assert_eq!(
            self.world.numbers("p2/acme/lib.json").await,
            ["1.1.0", "1.0.0"]
        );
        assert_eq!(self.world.now(&self.package).await.sync_error, None);
        let next = self.repository.resolve("refs/tags/1.1.0").unwrap();
        assert!(self.world.dist("acme/lib", &next).await.len() > 300_000);
        assert_eq!(self.world.dist("acme/lib", &self.commit).await, self.dist);
        self.mirror_is_sound();
    }

    /// Every object that a ref of the mirror leads to is there and whole.
    fn mirror_is_sound(&self) {
        let fsck = std::process::Command::new("git")
            .args([
                "fsck",
                "--full",
                "--connectivity-only",
                "--no-dangling",
                "--no-progress",
            ])
            .env("GIT_DIR", self.world.mirror(&self.package))
            .output()
            .unwrap();
        assert!(
            fsck.status.success(),
            "{}",
            String::from_utf8_lossy(&fsck.stderr)
        );
    }
}

/// Sentences name the server by its port, which is another one each time.
fn without_port(sentence: &str, upstream: &Upstream) -> String {
    sentence.replace(&upstream.server.address().to_string(), "HOST")
}

on_both_databases! {
    async fn an_upstream_that_takes_the_question_and_never_answers(url: String) {
        let upstream = Upstream::with(&url, impatient).await;
        upstream.spoil(Stage::Listing, Fault::Silence);
        let sentence = without_port(&upstream.fails().await, &upstream);
        assert_eq!(sentence, "git was given 2 s to list the refs of http://HOST/acme/lib.git and did not finish");
        upstream.heals().await;
    }

    async fn an_upstream_that_stops_in_the_middle_of_a_pack(url: String) {
        let upstream = Upstream::with(&url, impatient).await;
        upstream.spoil(Stage::Pack, Fault::Stall(200_000));
        let sentence = without_port(&upstream.fails().await, &upstream);
        assert_eq!(sentence, "git was given 2 s to fetch from http://HOST/acme/lib.git and did not finish");
        upstream.heals().await;
    }

    async fn an_upstream_that_dies_in_the_middle(url: String) {
        let upstream = Upstream::new(&url).await;
        for (stage, sent) in [
            (Stage::Listing, 0),
            (Stage::Listing, 30),
            (Stage::Pack, 0),
            (Stage::Pack, 20),
            (Stage::Pack, 5_000),
            (Stage::Pack, 399_000),
        ] {
            upstream.spoil(stage, Fault::Cut(sent));
            let sentence = without_port(&upstream.fails().await, &upstream);
            assert!(
                sentence.starts_with("the exchange with HOST broke off while git tried to "),
                "{stage:?} after {sent} bytes: {sentence}"
            );
        }
        upstream.heals().await;
    }

    async fn an_upstream_that_sends_garbage_in_place_of_a_pack(url: String) {
        let upstream = Upstream::new(&url).await;
        let noise: Vec<u8> = (0_u32..20_000).map(|n| n.wrapping_mul(2_654_435_761).to_be_bytes()[0]).collect();
        let mut beginning = b"PACK\0\0\0\x02\0\0\xff\xff".to_vec();
        beginning.extend_from_slice(&noise);
        for fault in [
            Fault::Pack(noise),
            Fault::Pack(beginning),
            Fault::Pack(Vec::new()),
            Fault::ShortPack(12),
            Fault::ShortPack(200_000),
            // The checksum at the end, and something before it.
            Fault::DamagedPack(1),
            Fault::DamagedPack(5_000),
        ] {
            let shown: String = format!("{fault:?}").chars().take(40).collect();
            upstream.spoil(Stage::Pack, fault);
            let sentence = without_port(&upstream.fails().await, &upstream);
            assert!(sentence.contains("http://HOST/acme/lib.git"), "{shown}: {sentence}");
        }
        upstream.heals().await;
    }

    async fn an_upstream_that_answers_with_a_page_in_the_middle(url: String) {
        let upstream = Upstream::new(&url).await;
        upstream.spoil(Stage::Pack, Fault::Page);
        upstream.fails().await;
        upstream.heals().await;
    }

    async fn an_upstream_that_announces_what_it_does_not_have(url: String) {
        let upstream = Upstream::new(&url).await;
        let refs = vec![(NOWHERE.to_owned(), "refs/tags/9.9.9".to_owned())];
        upstream.spoil(Stage::Listing, Fault::Announced(refs));
        let sentence = without_port(&upstream.fails().await, &upstream);
        assert!(sentence.starts_with("http://HOST/acme/lib.git changed while it was being fetched"), "{sentence}");
        upstream.heals().await;
    }

    async fn a_pack_without_what_its_refs_lead_to(url: String) {
        let upstream = Upstream::new(&url).await;
        let (objects, next) = (&upstream.repository, "refs/tags/1.1.0");
        let commit = objects.resolve(next).unwrap();
        let tree = objects.resolve(&format!("{next}^{{tree}}")).unwrap();
        let manifest = objects.resolve(&format!("{next}:composer.json")).unwrap();
        let noise = objects.resolve(&format!("{next}:noise")).unwrap();
        let old = upstream.commit.clone();
        let orphan = objects.commit("elsewhere").orphan().file("other", "x").create();
        for sent in [
            // Nothing that was wanted; a commit without its tree; trees without their files; a file nobody asked for.
            vec![&orphan],
            vec![&commit],
            vec![&commit, &tree],
            vec![&commit, &tree, &manifest],
            vec![&commit, &noise, &old],
        ] {
            let names = sent.iter().fold(String::new(), |names, name| names + name + "\n");
            upstream.spoil(Stage::Pack, Fault::Pack(packed(objects, &names)));
            let sentence = upstream.fails().await;
            assert!(sentence.contains("/acme/lib.git"), "{sent:?}: {sentence}");
        }
        objects.delete_ref("refs/heads/elsewhere");
        upstream.heals().await;
    }

    async fn a_disk_that_is_full_in_the_middle_of_a_fetch(url: String) {
        let upstream = Upstream::with(&url, on_a_small_disk).await;
        let full = upstream.world.folder().join("full");
        fs::write(&full, "").unwrap();
        let sentence = without_port(&upstream.fails().await, &upstream);
        assert!(
            sentence.starts_with("this machine's disk did not take what git had to write to fetch from http://HOST/acme/lib.git: "),
            "{sentence}"
        );
        // However often that is: the job is not to blame.
        for _ in 0..6 {
            upstream.world.clock.advance(HOUR + MINUTE);
            let ran = upstream.world.worker.run_next().await.unwrap().unwrap();
            assert_eq!(ran.end, End::Again, "{ran:?}");
        }
        fs::remove_file(&full).unwrap();
        upstream.heals().await;
    }
}

/// A pack of exactly these objects.
fn packed(repository: &GitRepository, names: &str) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let base = folder.path().join("pack");
    let name = repository.git_with_input(
        &["pack-objects", "--quiet", base.to_str().unwrap()],
        names.as_bytes(),
    );
    fs::read(format!("{}-{name}.pack", base.display())).unwrap()
}

/// A git that can write no file beyond 64 KiB while there is a file `full`.
fn on_a_small_disk(config: &mut GitConfig, folder: &Path) {
    let script = folder.join("git");
    // It waits until its caller has set a limit of its own, which this one goes below.
    let text = format!(
        "#!/bin/bash\n\
         if [ -e '{0}/full' ] && [ \"$1\" = fetch ]; then\n\
           while [ \"$(ulimit -f)\" = unlimited ]; do :; done\n\
           trap '' XFSZ\n\
           ulimit -f 64\n\
         fi\n\
         exec /usr/bin/env git \"$@\"\n",
        folder.display()
    );
    fs::write(&script, text).unwrap();
    fs::set_permissions(&script, fs::Permissions::from_mode(0o700)).unwrap();
    config.binary = script;
}

/// A git that waits for nobody longer than two seconds.
fn impatient(config: &mut GitConfig, _folder: &Path) {
    config.list_timeout = Duration::from_secs(2);
    config.fetch_timeout = Duration::from_secs(2);
}
