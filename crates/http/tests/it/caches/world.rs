//! Two organizations, three packages, two holders of tokens, and everything that can happen to them.

use std::collections::BTreeMap;

use kapelle_registry::actor::TokenAccess;
use kapelle_registry::jobs::Worker;
use kapelle_registry::token::{self, NewToken};
use kapelle_registry::{Actor, organization, package};
use kapelle_testing::git::GitRepository;
use serde_json::Value;

use super::client::{Cache, read_fresh};
use crate::app::TestApp;

/// Organization and name of each package. Two share a name on purpose.
pub(super) const PACKAGES: [(&str, &str); 3] = [
    ("acme", "acme/lib"),
    ("acme", "acme/tool"),
    ("other", "acme/lib"),
];
const ORGANIZATIONS: [&str; 2] = ["acme", "other"];
/// What a commit's composer.json may say besides its name.
pub(super) const MANIFESTS: [&str; 5] = [
    r#""description": "one""#,
    r#""description": "two", "provide": {"acme/interface": "1.0"}"#,
    r#""abandoned": "acme/successor""#,
    r#""replace": {"acme/interface": "self.version"}, "keywords": ["x"]"#,
    // The name is wrong: nothing is published until it is right again.
    r#""name": "acme/renamed""#,
];
const MINUTE: i64 = 60_000;

#[derive(Clone, Debug)]
pub(super) enum Change {
    /// Tags a new commit `1.<minor>.0`, whatever had that tag.
    Tag(usize, u8),
    DeleteTag(usize, u8),
    /// A commit on the default branch with one of [`MANIFESTS`].
    Commit(usize, usize),
    Sync(usize),
    Remove(usize),
    Undo(usize),
    Purge(usize),
    Add(usize),
    /// Gives a holder a new token for an organization, which may expire in a minute.
    Token(usize, usize, bool),
    Revoke(usize),
    Wait(i64),
    PublicUrl,
}

struct Holder {
    secret: String,
    organization: usize,
    id: i64,
    expires_at: i64,
    revoked: bool,
}

struct Followed {
    repository: GitRepository,
    live: bool,
    /// Whether commits of it were purged: what is published then is not what the repository has.
    purged: bool,
    /// Whether the default branch has the wrong name.
    renamed: bool,
    /// Version to commit when it was last published.
    published: BTreeMap<String, String>,
}

pub(super) struct World {
    app: TestApp,
    organization_ids: [i64; 2],
    packages: Vec<Followed>,
    holders: Vec<Holder>,
    cache: Cache,
    urls: usize,
}

impl World {
    pub(super) async fn start(url: &str) -> Self {
        let app = TestApp::start(url).await;
        app.let_jobs_wait();
        let other = organization::named(&app.registry, &Actor::Operator, "other")
            .await
            .unwrap();
        let mut world = Self {
            organization_ids: [app.organization_id, other.id],
            app,
            packages: Vec::new(),
            holders: Vec::new(),
            cache: Cache::default(),
            urls: 0,
        };
        for (at, (_, name)) in PACKAGES.into_iter().enumerate() {
            let repository = GitRepository::new();
            repository.release(
                "1.0.0",
                &format!(r#"{{"name": "{name}", "description": "of {at}"}}"#),
            );
            let published = refs(&repository);
            world.packages.push(Followed {
                repository,
                live: false,
                purged: false,
                renamed: false,
                published,
            });
            world.make(&Change::Add(at)).await;
        }
        for organization in 0..2 {
            let holder = world.new_token(organization, false).await;
            world.holders.push(holder);
        }
        world.work().await;
        world
    }

    pub(super) async fn make(&mut self, change: &Change) {
        match *change {
            Change::Tag(at, minor) => {
                let (_, name) = PACKAGES[at];
                let manifest = format!(r#"{{"name": "{name}", "extra": {{"at": {minor}}}}}"#);
                let repository = &self.packages[at].repository;
                let commit = repository
                    .commit("side")
                    .file("composer.json", &manifest)
                    .create();
                repository.tag(&format!("1.{minor}.0"), &commit);
                self.sync(at).await;
            }
            Change::DeleteTag(at, minor) => {
                let repository = &self.packages[at].repository;
                let name = format!("refs/tags/1.{minor}.0");
                if repository.resolve(&name).is_some() {
                    repository.delete_ref(&name);
                }
                self.sync(at).await;
            }
            Change::Commit(at, kind) => {
                let (_, name) = PACKAGES[at];
                let said = MANIFESTS[kind];
                let renamed = said.contains("renamed");
                let name = if renamed {
                    String::new()
                } else {
                    format!(r#""name": "{name}", "#)
                };
                let manifest = format!("{{{name}{said}}}");
                self.packages[at]
                    .repository
                    .commit("main")
                    .file("composer.json", &manifest)
                    .create();
                self.packages[at].renamed = renamed;
                self.sync(at).await;
            }
            Change::Sync(at) => self.sync(at).await,
            Change::Remove(at) => self.remove(at).await,
            Change::Undo(at) => {
                let (id, name) = self.named(at);
                let done = package::undo(&self.app.registry, &Actor::Operator, id, name).await;
                self.packages[at].live |= done.is_ok();
            }
            Change::Purge(at) => {
                self.remove(at).await;
                let (id, name) = self.named(at);
                let done = package::purge(&self.app.registry, &Actor::Operator, id, name).await;
                self.packages[at].purged |= done.is_ok();
            }
            Change::Add(at) => {
                let (id, _) = self.named(at);
                let url = self.packages[at].repository.url();
                let done = package::add(&self.app.registry, &Actor::Operator, id, &url, None).await;
                let followed = &mut self.packages[at];
                followed.live |= done.is_ok();
                if done.is_ok() && followed.renamed {
                    // A repository that is added anew has the name that it says now.
                    followed.published.clear();
                }
            }
            Change::Token(slot, organization, expires) => {
                self.holders[slot] = self.new_token(organization, expires).await;
            }
            Change::Revoke(slot) => {
                let holder = &mut self.holders[slot];
                let id = self.organization_ids[holder.organization];
                if !holder.revoked {
                    token::remove(&self.app.registry, &Actor::Operator, id, holder.id)
                        .await
                        .unwrap();
                    holder.revoked = true;
                }
            }
            Change::Wait(milliseconds) => self.app.advance(milliseconds).await,
            Change::PublicUrl => {
                self.urls += 1;
                let url = format!("https://packages{}.example.org/", self.urls);
                self.app.registry.set_public_url(url.parse().unwrap());
            }
        }
    }

    fn named(&self, at: usize) -> (i64, &'static str) {
        let (organization, name) = PACKAGES[at];
        (
            self.organization_ids[usize::from(organization != ORGANIZATIONS[0])],
            name,
        )
    }

    async fn sync(&self, at: usize) {
        let (id, name) = self.named(at);
        // Nothing to do for one that was removed.
        if let Ok(found) = package::find(&self.app.registry, &Actor::Operator, id, name).await {
            package::sync(&self.app.registry, &Actor::Operator, &found)
                .await
                .unwrap();
        }
    }

    async fn remove(&mut self, at: usize) {
        let (id, name) = self.named(at);
        if let Ok(found) = package::find(&self.app.registry, &Actor::Operator, id, name).await {
            package::remove(&self.app.registry, &Actor::Operator, &found)
                .await
                .unwrap();
            self.packages[at].live = false;
        }
    }

    async fn new_token(&self, organization: usize, expires: bool) -> Holder {
        let expires_at = expires.then(|| self.app.clock.now() + MINUTE);
        let new = NewToken {
            organization_id: self.organization_ids[organization],
            description: "test".to_owned(),
            access: TokenAccess::Read,
            expires_at,
        };
        let created = token::create(&self.app.registry, &Actor::Operator, &new)
            .await
            .unwrap();
        let secret = created.reveal().to_owned();
        let expires_at = expires_at.unwrap_or(i64::MAX);
        Holder {
            secret,
            organization,
            id: created.id,
            expires_at,
            revoked: false,
        }
    }

    pub(super) async fn work(&self) {
        self.app.work().await;
    }

    /// The next job only, if one waits.
    pub(super) async fn work_once(&self) {
        let worker = Worker::new(self.app.registry.clone(), "test".to_owned());
        worker.run_next().await.unwrap();
    }

    /// Both holders read everything, through the one cache and without.
    pub(super) async fn look(&mut self, when: &str) {
        for slot in 0..self.holders.len() {
            for (organization, slug) in ORGANIZATIONS.iter().enumerate() {
                for place in places(slug) {
                    self.look_at(slot, organization, &place, when).await;
                }
            }
        }
    }

    async fn look_at(&mut self, slot: usize, organization: usize, place: &str, when: &str) {
        let holder = &self.holders[slot];
        let cached = self.cache.read(&self.app, &holder.secret, place).await;
        let fresh = read_fresh(&self.app, &holder.secret, place).await;
        let shown = |body: &[u8]| String::from_utf8_lossy(body).into_owned();
        assert_eq!(
            (cached.status, shown(&cached.body)),
            (fresh.status, shown(&fresh.body)),
            "holder {slot} {when}: {place} through the cache (left) and fresh (right)"
        );
        let is_good = !holder.revoked && self.app.clock.now() < holder.expires_at;
        let expected: &[u16] = match (is_good, holder.organization == organization) {
            (false, _) => &[401],
            (true, false) => &[404],
            (true, true) => &[200, 404],
        };
        assert!(
            expected.contains(&fresh.status),
            "holder {slot} {when}: {place} gave {}",
            fresh.status
        );
    }

    /// What is served of each package is what its repository has, once everything is done.
    pub(super) async fn compare_with_repositories(&mut self, when: &str) {
        for (at, (organization, name)) in PACKAGES.iter().enumerate() {
            let followed = &mut self.packages[at];
            if followed.live && !followed.renamed {
                followed.published = refs(&followed.repository);
            }
            if followed.purged {
                continue;
            }
            let (live, published) = (followed.live, followed.published.clone());
            let token = if at == 2 {
                &self.app.tokens.stranger
            } else {
                &self.app.tokens.read
            };
            let mut served = BTreeMap::new();
            for end in [".json", "~dev.json"] {
                let place = format!("/repo/{organization}/p2/{name}{end}");
                let seen = read_fresh(&self.app, token, &place).await;
                assert!(
                    live || seen.status == 404,
                    "{place} {when}: {}",
                    seen.status
                );
                if seen.status == 200 {
                    served.extend(versions(&seen.body, name));
                }
            }
            if live {
                assert_eq!(
                    served, published,
                    "{organization} {name} {when}: served (left), of the repository (right)"
                );
            }
        }
    }
}

/// Every document and list of an organization.
fn places(organization: &str) -> Vec<String> {
    let below = [
        "packages.json",
        "packages/packages.json",
        "p2/acme/lib.json",
        "p2/acme/lib~dev.json",
        "p2/acme/tool.json",
        "p2/acme/tool~dev.json",
        "p2/acme/nobody.json",
        "packages/list.json",
        "providers/acme/interface.json",
        "search.json?q=acme",
        "metadata/changes.json?since=0",
    ];
    below
        .iter()
        .map(|place| format!("/repo/{organization}/{place}"))
        .collect()
}

/// Tags and branches as versions.
fn refs(repository: &GitRepository) -> BTreeMap<String, String> {
    let printed = repository.git(&["for-each-ref", "--format=%(refname) %(objectname)"]);
    let lines = printed.lines().filter_map(|line| line.split_once(' '));
    lines
        .map(|(name, commit)| {
            let version = match name.strip_prefix("refs/heads/") {
                Some(branch) => format!("dev-{branch}"),
                None => name.trim_start_matches("refs/tags/").to_owned(),
            };
            (version, commit.to_owned())
        })
        .collect()
}

/// Versions of a document with the commits of their sources.
fn versions(document: &[u8], name: &str) -> BTreeMap<String, String> {
    let document: Value = serde_json::from_slice(document).unwrap();
    let mut reference = String::new();
    let mut found = BTreeMap::new();
    for version in document["packages"][name].as_array().unwrap() {
        if let Some(text) = version["source"]["reference"].as_str() {
            text.clone_into(&mut reference);
        }
        found.insert(
            version["version"].as_str().unwrap().to_owned(),
            reference.clone(),
        );
    }
    found
}
