//! Many clients at once while tokens, packages and grants come and go: nobody sees anything after its end was
//! confirmed, and nobody ever sees a name of another organization.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use kapelle_registry::actor::TokenAccess;
use kapelle_registry::token::{self, NewToken};
use kapelle_registry::{Actor, organization, package};
use kapelle_testing::git::GitRepository;
use kapelle_testing::on_both_databases;

use crate::app::{Answer, TestApp};

const CLIENTS: usize = 64;
/// How long they ask, and how much has to have happened by then; otherwise they go on.
const TIME: Duration = Duration::from_secs(6);
const ENOUGH: [u64; 3] = [500, 20, 4];
/// What no client of the other organization may ever be told.
const NAMES: [&str; 2] = ["acme/violet", "other/orange"];
const SECRET_WORDS: [&str; 2] = ["violet", "orange"];

/// A token that is replaced when it was revoked, and what is known about it.
struct Grant {
    organization: usize,
    current: std::sync::Mutex<Arc<Held>>,
}

struct Held {
    secret: String,
    id: i64,
    /// Set before its removal begins.
    ending: AtomicBool,
    /// Set once its removal has returned.
    revoked: AtomicBool,
}

/// Whether a package is there: even numbers are settled, odd ones change; see [`Package::settled`].
#[derive(Default)]
struct Package {
    step: AtomicU64,
}

impl Package {
    /// Whether it is removed, unless that is changing.
    fn settled(&self) -> (u64, Option<bool>) {
        let step = self.step.load(Ordering::SeqCst);
        (step, step.is_multiple_of(2).then_some(step % 4 == 2))
    }

    async fn change(&self, change: impl Future<Output = ()>) {
        self.step.fetch_add(1, Ordering::SeqCst);
        change.await;
        self.step.fetch_add(1, Ordering::SeqCst);
    }
}

struct World {
    app: TestApp,
    organization_ids: [i64; 2],
    grants: Vec<Grant>,
    packages: [Package; 2],
    dists: [String; 2],
    until: Instant,
    /// Questions, revoked tokens, removed packages.
    done: [AtomicU64; 3],
}

impl World {
    async fn start(url: &str) -> Self {
        let app = TestApp::start(url).await;
        app.let_jobs_wait();
        let other = organization::named(&app.registry, &Actor::Operator, "other")
            .await
            .unwrap();
        let organization_ids = [app.organization_id, other.id];
        let mut dists = [String::new(), String::new()];
        for (at, name) in NAMES.into_iter().enumerate() {
            let repository = GitRepository::new();
            let commit = repository.release(
                "1.0.0",
                &format!(
                    r#"{{"name": "{name}", "description": "{}"}}"#,
                    SECRET_WORDS[at]
                ),
            );
            package::add(
                &app.registry,
                &Actor::Operator,
                organization_ids[at],
                &repository.url(),
                None,
            )
            .await
            .unwrap();
            app.work().await;
            dists[at] = format!("dists/{name}/{commit}.zip");
        }
        let mut world = Self {
            app,
            organization_ids,
            grants: Vec::new(),
            packages: Default::default(),
            dists,
            until: Instant::now(),
            done: Default::default(),
        };
        for number in 0..CLIENTS {
            let organization = number % 2;
            let current = std::sync::Mutex::new(world.new_token(organization).await);
            world.grants.push(Grant {
                organization,
                current,
            });
        }
        world.until = Instant::now() + TIME;
        world
    }

    async fn new_token(&self, organization: usize) -> Arc<Held> {
        let new = NewToken {
            organization_id: self.organization_ids[organization],
            description: "test".to_owned(),
            access: TokenAccess::Read,
            expires_at: None,
        };
        let created = token::create(&self.app.registry, &Actor::Operator, &new)
            .await
            .unwrap();
        Arc::new(Held {
            secret: created.reveal().to_owned(),
            id: created.id,
            ending: AtomicBool::new(false),
            revoked: AtomicBool::new(false),
        })
    }

    fn goes_on(&self) -> bool {
        let mut done = self.done.iter().zip(ENOUGH);
        Instant::now() < self.until
            || done.any(|(done, enough)| done.load(Ordering::Relaxed) <= enough)
    }

    /// Asks for everything in turn, of both organizations, and also with the token of before.
    async fn ask(&self, number: usize) {
        let grant = &self.grants[number];
        let mut before: Option<Arc<Held>> = None;
        while self.goes_on() {
            let held = Arc::clone(&grant.current.lock().unwrap());
            for whose in [grant.organization, 1 - grant.organization] {
                let slug = ["acme", "other"][whose];
                let places = [
                    format!("p2/{}.json", NAMES[whose]),
                    "packages.json".to_owned(),
                    "packages/list.json".to_owned(),
                    format!("search.json?q={}", SECRET_WORDS[whose]),
                    self.dists[whose].clone(),
                ];
                for place in places {
                    let address = format!("/repo/{slug}/{place}");
                    self.judge(grant, &held, whose, &address).await;
                    if let Some(old) = &before {
                        self.judge(grant, old, whose, &address).await;
                    }
                    self.done[0].fetch_add(1, Ordering::Relaxed);
                }
            }
            before = Some(held);
            tokio::task::yield_now().await;
        }
    }

    async fn judge(&self, grant: &Grant, held: &Held, whose: usize, address: &str) {
        let was_revoked = held.revoked.load(Ordering::SeqCst);
        let (step, removed) = self.packages[whose].settled();
        let answer = self.app.holding(&held.secret).get(address).await;
        let still = self.packages[whose].settled().0 == step;
        let is_ending = held.ending.load(Ordering::SeqCst);
        let status = answer.status;
        if was_revoked {
            assert_eq!(status, 401, "{address} after the token was revoked");
        }
        if whose != grant.organization {
            assert!(
                matches!(status, 401 | 404),
                "{address} of the other organization: {status}"
            );
            let word = SECRET_WORDS[whose];
            let told = text(&answer).replace(address, "").replace(NAMES[whose], "");
            assert!(!told.contains(word), "{address}: {told}");
            return;
        }
        let is_package = address.contains("/p2/") || address.contains("/dists/");
        match removed.filter(|_| still && is_package) {
            Some(true) => assert!(
                matches!(status, 401 | 404 | 410),
                "{address} after it was removed: {status}"
            ),
            // Who is revoked in the middle may get either answer.
            Some(false) if !is_ending => assert_eq!(status, 200, "{address}: {}", text(&answer)),
            _ => {}
        }
        if let (Some(true), true, 200) = (removed, still, status) {
            assert!(
                !text(&answer).contains(SECRET_WORDS[whose]),
                "{address} lists what was removed: {}",
                text(&answer)
            );
        }
    }

    /// Replaces tokens one after the other, as fast as the database takes it.
    async fn revoke(&self) {
        while self.goes_on() {
            for grant in &self.grants {
                let fresh = self.new_token(grant.organization).await;
                let old = std::mem::replace(&mut *grant.current.lock().unwrap(), fresh);
                let id = self.organization_ids[grant.organization];
                old.ending.store(true, Ordering::SeqCst);
                token::remove(&self.app.registry, &Actor::Operator, id, old.id)
                    .await
                    .unwrap();
                old.revoked.store(true, Ordering::SeqCst);
                self.done[1].fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    /// Removes a package and takes it back, again and again.
    async fn remove(&self, at: usize) {
        let (registry, id, name) = (&self.app.registry, self.organization_ids[at], NAMES[at]);
        while self.goes_on() {
            let found = package::find(registry, &Actor::Operator, id, name)
                .await
                .unwrap();
            let remove = async {
                package::remove(registry, &Actor::Operator, &found)
                    .await
                    .unwrap();
            };
            Box::pin(self.packages[at].change(remove)).await;
            tokio::time::sleep(Duration::from_millis(20)).await;
            let undo = async {
                drop(
                    package::undo(registry, &Actor::Operator, id, name)
                        .await
                        .unwrap(),
                );
            };
            Box::pin(self.packages[at].change(undo)).await;
            tokio::time::sleep(Duration::from_millis(20)).await;
            self.done[2].fetch_add(1, Ordering::Relaxed);
        }
    }
}

fn text(answer: &Answer) -> String {
    if answer.header("content-type") == "application/zip" {
        return String::new();
    }
    String::from_utf8_lossy(&answer.body).replace("\\/", "/")
}

on_both_databases! {
    async fn nobody_sees_what_they_may_not_while_grants_come_and_go(url: String) {
        let world = Arc::new(World::start(&url).await);
        let clients: Vec<_> = (0..CLIENTS)
            .map(|number| {
                let world = Arc::clone(&world);
                tokio::spawn(async move { world.ask(number).await })
            })
            .collect();
        let revoking = { let world = Arc::clone(&world); tokio::spawn(async move { world.revoke().await }) };
        let removing = [0, 1].map(|at| { let world = Arc::clone(&world); tokio::spawn(async move { Box::pin(world.remove(at)).await }) });
        for client in clients {
            client.await.unwrap();
        }
        revoking.await.unwrap();
        for removing in removing {
            removing.await.unwrap();
        }
    }
}
