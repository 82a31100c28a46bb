//! Archives in an S3 that is slow, fails now and then, or is gone: downloads are whole or break off, uploads are
//! repeated or leave nothing behind.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use axum::http::Method;
use kapelle_registry::clock::HOUR;
use kapelle_registry::jobs::{End, Ran};
use kapelle_storage::blobs::BlobsConfig;
use kapelle_storage::db::dists;
use kapelle_testing::git::GitRepository;
use kapelle_testing::on_both_databases;
use kapelle_testing::s3::S3Server;
use kapelle_testing::s3_fault::{S3Failing, S3Fault};
use kapelle_testing::tcp_proxy::TcpProxy;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::app::{Answer, Options, TestApp};

const LIB: &str = r#"{"name": "acme/lib"}"#;
/// How long the store may keep us waiting.
const PATIENCE: Duration = Duration::from_secs(2);

/// An application with its archives in an S3 server, which is reached through a network that can fail.
struct World {
    app: TestApp,
    s3: S3Server,
    network: TcpProxy,
    repository: GitRepository,
}

impl World {
    async fn new(url: &str, releases: usize) -> Self {
        let s3 = S3Server::start().await;
        let network = TcpProxy::to(s3.address()).await;
        let place = format!(
            "s3://{}/archives?endpoint=http://{}&region={}&path_style=true&allow_http=true",
            S3Server::BUCKET,
            network.address(),
            S3Server::REGION
        );
        let blobs = BlobsConfig {
            access_key: Some(S3Server::ACCESS_KEY.to_owned()),
            secret: Some(S3Server::SECRET_KEY.to_owned()),
            patience: PATIENCE,
            ..BlobsConfig::new(place)
        };
        let options = Options {
            blobs: Some(blobs),
            ..Options::default()
        };
        let app = TestApp::with(url, options).await;
        let repository = GitRepository::new();
        for number in 0..releases {
            let commit = repository
                .commit("main")
                .file("composer.json", LIB)
                .file("noise", noise(number, 200_000))
                .create();
            repository.tag(&format!("1.0.{number}"), &commit);
        }
        Self {
            app,
            s3,
            network,
            repository,
        }
    }

    fn commits(&self) -> Vec<String> {
        let tags = self.repository.git(&["tag", "--list"]);
        let commit = |tag: &str| {
            self.repository
                .resolve(&format!("refs/tags/{tag}"))
                .unwrap()
        };
        tags.lines().map(commit).collect()
    }

    async fn download(&self, commit: &str) -> Answer {
        let reader = self.app.reader();
        reader
            .get(&format!("/repo/acme/dists/acme/lib/{commit}.zip"))
            .await
    }

    /// Every archive of which the database says that it is there is there, whole.
    async fn promises_are_kept(&self) -> usize {
        let package = self.app.package("acme/lib").await;
        let mut connection = self.app.registry.database().read().await.unwrap();
        let all = dists::list(&mut connection, package.id).await.unwrap();
        for dist in &all {
            self.app
                .registry
                .blobs()
                .verify(&dist.sha256)
                .await
                .unwrap();
        }
        all.len()
    }
}

/// Bytes that cannot be compressed.
fn noise(seed: usize, length: u32) -> Vec<u8> {
    let seed = u32::try_from(seed).unwrap();
    (0..length / 4)
        .flat_map(|n| {
            (n.wrapping_add(seed * 7_919))
                .wrapping_mul(2_654_435_761)
                .rotate_left(n % 31)
                .to_le_bytes()
        })
        .collect()
}

/// What a download over a real connection brought: the length that was promised, and how much came before the end.
async fn over_the_wire(address: SocketAddr, world: &World, commit: &str) -> (u16, usize, usize) {
    let mut socket = TcpStream::connect(address).await.unwrap();
    let authorization = crate::app::basic("token", &world.app.tokens.read);
    let request = format!(
        "GET /repo/acme/dists/acme/lib/{commit}.zip HTTP/1.1\r\nhost: x\r\nauthorization: {authorization}\r\nconnection: close\r\n\r\n"
    );
    socket.write_all(request.as_bytes()).await.unwrap();
    let mut all = Vec::new();
    // A connection that is reset has come to its end as well.
    let _end = socket.read_to_end(&mut all).await;
    let split = all.windows(4).position(|four| four == b"\r\n\r\n").unwrap();
    let head = String::from_utf8(all[..split].to_vec())
        .unwrap()
        .to_lowercase();
    let promised = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "))
        .unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, promised.parse().unwrap(), all.len() - split - 4)
}

/// Serves the application on a real socket.
async fn listen(app: &TestApp) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let service = app.service.clone();
    tokio::spawn(async move { axum::serve(listener, tower::make::Shared::new(service)).await });
    address
}

fn ends(ran: &[Ran]) -> Vec<(&str, End)> {
    ran.iter().map(|ran| (ran.kind.as_str(), ran.end)).collect()
}

on_both_databases! {
    async fn a_download_that_breaks_off_does_not_look_whole(url: String) {
        let world = World::new(&url, 1).await;
        world.app.add(&world.repository).await;
        let commit = &world.commits()[0];
        let whole = world.download(commit).await;
        let address = listen(&world.app).await;

        world.s3.fail(S3Failing { fault: S3Fault::Half, every: 1, method: Some(Method::GET) });
        let (status, promised, came) = over_the_wire(address, &world, commit).await;
        assert_eq!((status, promised), (200, whole.body.len()));
        assert!(came < promised, "{came} of {promised} bytes, and a connection that ended well");

        world.s3.heal();
        assert_eq!(over_the_wire(address, &world, commit).await, (200, promised, promised));
        assert_eq!(world.download(commit).await.body, whole.body);
    }

    async fn an_answer_that_is_cut_once_is_continued(url: String) {
        let world = World::new(&url, 1).await;
        world.app.add(&world.repository).await;
        let commit = &world.commits()[0];
        let whole = world.download(commit).await;
        let address = listen(&world.app).await;

        // Every second answer breaks off in its middle; what is missing is asked for again.
        world.s3.fail(S3Failing { fault: S3Fault::Half, every: 2, method: Some(Method::GET) });
        for _ in 0..4 {
            let length = whole.body.len();
            assert_eq!(over_the_wire(address, &world, commit).await, (200, length, length));
        }
        assert!(world.s3.failed().len() >= 2, "{:?}", world.s3.failed());
    }

    async fn every_tenth_request_that_fails_is_not_noticed(url: String) {
        let world = World::new(&url, 12).await;
        for fault in [S3Fault::Busy, S3Fault::Cut] {
            world.s3.fail(S3Failing { fault, every: 10, method: None });
            let ran = match fault {
                S3Fault::Busy => world.app.add(&world.repository).await,
                _ => world.app.sync("acme/lib").await,
            };
            assert!(ran.iter().all(|ran| ran.end == End::Success), "{ran:?}");
            for commit in world.commits() {
                assert_eq!(world.download(&commit).await.status, 200);
            }
        }
        assert_eq!(world.promises_are_kept().await, 12);
        assert!(world.s3.failed().len() >= 4, "{:?}", world.s3.failed());
    }

    async fn while_the_store_is_gone_packages_are_published_and_archives_come_when_it_is_back(url: String) {
        let world = World::new(&url, 2).await;
        world.network.refuse();
        let ran = world.app.add(&world.repository).await;
        assert_eq!(ends(&ran), [("SyncPackage", End::Success), ("BuildDists", End::Again)]);
        assert!(ran[1].message.contains("could not be") && ran[1].message.contains("s3://kapelle"), "{ran:?}");
        let metadata = world.app.reader().get("/repo/acme/p2/acme/lib.json").await;
        assert_eq!(metadata.status, 200);
        let started = Instant::now();
        let answer = world.download(&world.commits()[0]).await;
        assert_eq!(answer.status, 503);
        assert!(answer.json()["warning"].as_str().unwrap().contains("s3://kapelle"), "{answer:?}");
        assert!(started.elapsed() < 20 * PATIENCE);

        // However long that takes: nobody has to start it again.
        for _ in 0..6 {
            world.app.advance(HOUR).await;
            assert_eq!(ends(&world.app.work().await), [("BuildDists", End::Again)]);
        }
        assert_eq!(world.promises_are_kept().await, 0);
        world.network.restore().await;
        world.app.advance(HOUR).await;
        assert_eq!(ends(&world.app.work().await), [("BuildDists", End::Success)]);
        assert_eq!(world.promises_are_kept().await, 2);
        for commit in world.commits() {
            assert_eq!(world.download(&commit).await.status, 200);
        }
    }

    async fn an_upload_that_is_cut_leaves_no_promise_behind(url: String) {
        let world = World::new(&url, 1).await;
        world.s3.fail(S3Failing { fault: S3Fault::Cut, every: 1, method: Some(Method::PUT) });
        let ran = world.app.add(&world.repository).await;
        assert_eq!(ends(&ran), [("SyncPackage", End::Success), ("BuildDists", End::Again)]);
        assert_eq!(world.promises_are_kept().await, 0);
        assert_eq!(world.download(&world.commits()[0]).await.status, 503);
        let document = world.app.reader().get("/repo/acme/p2/acme/lib.json").await.json();
        assert_eq!(document["packages"]["acme/lib"][0]["dist"]["shasum"], "");

        world.s3.heal();
        world.app.advance(HOUR).await;
        assert_eq!(ends(&world.app.work().await), [("BuildDists", End::Success)]);
        assert_eq!(world.promises_are_kept().await, 1);
    }

    async fn a_large_archive_is_stored_whole_or_not_at_all(url: String) {
        let world = World::new(&url, 0).await;
        let commit = world.repository
            .commit("main")
            .file("composer.json", LIB)
            .file("noise", noise(1, 20 << 20))
            .create();
        world.repository.tag("1.0.0", &commit);
        world.s3.fail(S3Failing { fault: S3Fault::Cut, every: 2, method: Some(Method::PUT) });
        let ran = world.app.add(&world.repository).await;
        let end = ran.last().unwrap().end;
        assert_eq!(world.promises_are_kept().await, usize::from(end == End::Success), "{ran:?}");
        world.s3.fail(S3Failing { fault: S3Fault::Busy, every: 1, method: Some(Method::POST) });
        let other = world.repository.commit("main").file("noise", noise(2, 20 << 20)).create();
        world.repository.tag("1.1.0", &other);
        world.app.advance(HOUR).await;
        let ran = world.app.sync("acme/lib").await;
        assert_eq!(ran.last().unwrap().end, End::Again, "what was uploaded is never completed: {ran:?}");

        world.s3.heal();
        world.app.advance(HOUR).await;
        world.app.work().await;
        assert_eq!(world.promises_are_kept().await, 2);
        assert_eq!(world.download(&other).await.status, 200);
    }

    async fn a_slow_store_is_waited_for_and_holds_up_nothing_else(url: String) {
        let world = World::new(&url, 1).await;
        world.app.add(&world.repository).await;
        let commit = world.commits()[0].clone();
        world.s3.fail(S3Failing { fault: S3Fault::Slow, every: 1, method: Some(Method::GET) });
        let both = async {
            while world.s3.failed().is_empty() {
                tokio::task::yield_now().await;
            }
            let metadata = world.app.reader().get("/repo/acme/p2/acme/lib.json").await;
            assert_eq!(metadata.status, 200);
            assert_eq!(world.app.anonymous().get("/readyz").await.status, 200);
            world.s3.heal();
        };
        let (answer, ()) = tokio::join!(world.download(&commit), both);
        assert_eq!(answer.status, 200);
    }

    async fn a_store_that_says_nothing_is_given_up(url: String) {
        let world = World::new(&url, 1).await;
        world.app.add(&world.repository).await;
        let commit = world.commits()[0].clone();
        world.network.black_hole();
        let started = Instant::now();
        let answer = world.download(&commit).await;
        assert_eq!(answer.status, 503);
        assert!(started.elapsed() < 20 * PATIENCE, "{:?}", started.elapsed());
        world.network.restore().await;
        assert_eq!(world.download(&commit).await.status, 200);
    }
}
