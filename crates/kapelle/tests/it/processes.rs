//! Servers, workers and commands side by side, and how they end.

use std::time::Duration;

use kapelle_outbound::{AddressPolicy, Client, ClientConfig, HeaderMap, HeaderValue, Url};
use kapelle_testing::process::Process;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::world::{Installation, library};

/// A client that may reach this machine.
fn client(extra_root: Option<Vec<u8>>) -> Client {
    kapelle_outbound::install_crypto_provider();
    Client::new(ClientConfig {
        policy: AddressPolicy::new(vec!["127.0.0.0/8".parse().expect("a range")]),
        total: Duration::from_secs(20),
        extra_roots: extra_root.into_iter().collect(),
        ..ClientConfig::default()
    })
    .expect("a client")
}

/// Status and body.
async fn get(client: &Client, url: &str, token: Option<&str>) -> (u16, String) {
    let mut headers = HeaderMap::new();
    if let Some(token) = token {
        headers.insert(
            "authorization",
            HeaderValue::from_str(&format!("Bearer {token}")).expect("a plain token"),
        );
    }
    let answer = client
        .get(&Url::parse(url).expect("a URL"), headers, 1 << 20)
        .await
        .expect("an answer");
    (
        answer.status.as_u16(),
        String::from_utf8_lossy(&answer.body).into_owned(),
    )
}

#[tokio::test]
async fn commands_work_beside_a_server_on_the_same_data_folder() {
    let installation = Installation::new();
    let (server, url) = installation.serve(&[]).await;
    let made = installation
        .json(&["setup", "--organization", "acme"])
        .await;
    assert_eq!(
        made["repository_url"],
        json!(format!("{url}/repo/acme")),
        "the server's address is known"
    );
    let token = made["composer_token"].as_str().unwrap();

    let repository = library("acme/lib", &["1.0.0"]);
    installation
        .run(&["package", "add", &repository.url(), "--wait"])
        .await
        .succeeded();
    let client = client(None);
    let metadata = format!("{url}/repo/acme/p2/acme/lib.json");
    let (status, body) = get(&client, &metadata, Some(token)).await;
    assert_eq!(status, 200);
    assert!(body.contains(&format!("{url}/repo/acme/dists/")), "{body}");
    assert_eq!(get(&client, &metadata, None).await.0, 401);

    let doctor = installation.json(&["doctor"]).await;
    let public = doctor
        .as_array()
        .unwrap()
        .iter()
        .find(|check| check["name"] == "public URL")
        .unwrap();
    assert_eq!(public["verdict"], "ok", "{doctor:#}");
    assert!(server.terminate().await.status.success());
}

#[tokio::test]
async fn a_worker_does_what_a_server_without_one_queues() {
    let installation = Installation::with_organization().await;
    let (server, url) = installation.serve(&["--no-worker"]).await;
    let worker = Process::start(installation.command(&["worker"]));
    worker.line("working as").await;
    let repository = library("acme/lib", &["1.0.0"]);
    installation
        .run(&["package", "add", &repository.url()])
        .await
        .succeeded();
    worker.line("built 1 dists").await;
    assert!(!server.log().contains("SyncPackage"), "{}", server.log());
    let token = installation.json(&["token", "create"]).await["token"]
        .as_str()
        .unwrap()
        .to_owned();
    let (status, body) = get(
        &client(None),
        &format!("{url}/repo/acme/p2/acme/lib.json"),
        Some(&token),
    )
    .await;
    assert_eq!(status, 200);
    assert!(
        body.contains(&url),
        "the worker knows where the server is: {body}"
    );
    for process in [worker, server] {
        let ended = process.terminate().await;
        assert!(
            ended.status.success() && ended.log.contains("stopped"),
            "{ended:?}"
        );
    }
}

#[tokio::test]
async fn a_server_that_is_asked_to_stop_leaves_nothing_behind() {
    let installation = Installation::with_organization().await;
    let (server, url) = installation.serve(&[]).await;
    assert_eq!(
        get(&client(None), &format!("{url}/readyz"), None).await.0,
        200
    );
    let temporary = installation.data().join("tmp");
    assert_eq!(
        std::fs::read_dir(&temporary).unwrap().count(),
        2,
        "the server's folder and the lock"
    );
    let ended = server.terminate().await;
    assert_eq!(ended.status.code(), Some(0), "{ended:?}");
    assert!(
        ended.log.contains("asked to stop by SIGTERM"),
        "{}",
        ended.log
    );
    assert_eq!(std::fs::read_dir(&temporary).unwrap().count(), 1);
    assert!(
        !installation.data().join("kapelle.sqlite-wal").exists(),
        "the write-ahead log is folded in"
    );

    let (crashed, _) = installation.serve(&[]).await;
    crashed.kill().await;
    assert_eq!(std::fs::read_dir(&temporary).unwrap().count(), 2);
    let (after, _) = installation.serve(&[]).await;
    assert_eq!(
        std::fs::read_dir(&temporary).unwrap().count(),
        2,
        "the dead one's folder is gone"
    );
    after.terminate().await;
}

#[tokio::test]
async fn a_certificate_of_our_own_making_is_served_and_kept() {
    let installation = Installation::new();
    let (server, url) = installation.serve(&["--tls-self-signed"]).await;
    assert!(url.starts_with("https://127.0.0.1:"), "{url}");
    let file = installation.data().join("tls/certificate.pem");
    let certificate = std::fs::read(&file).unwrap();
    let trusting = client(Some(certificate.clone()));
    assert_eq!(get(&trusting, &format!("{url}/healthz"), None).await.0, 200);
    let refused = client(None)
        .get(&Url::parse(&url).unwrap(), HeaderMap::new(), 1024)
        .await;
    assert!(refused.is_err(), "nobody else trusts it");
    server.terminate().await;

    let (server, url) = installation.serve(&["--tls-self-signed"]).await;
    assert_eq!(std::fs::read(&file).unwrap(), certificate);
    assert_eq!(get(&trusting, &format!("{url}/healthz"), None).await.0, 200);
    server.terminate().await;
}

#[tokio::test]
async fn what_cannot_be_listened_on_is_named() {
    let installation = Installation::new();
    let (server, url) = installation.serve(&[]).await;
    let address = url.trim_start_matches("http://").to_owned();
    let sentence = installation
        .run(&["serve", "--listen", &address])
        .await
        .refused(1);
    assert!(
        sentence.contains(&format!(
            "{address} cannot be listened on: Address already in use"
        )),
        "{sentence}"
    );
    server.terminate().await;
    let installation = installation
        .set("KAPELLE_SERVER__TLS_CERTIFICATE", "no.pem")
        .set("KAPELLE_SERVER__TLS_KEY", "no.key");
    let sentence = installation
        .run(&["serve", "--listen", "127.0.0.1:0"])
        .await
        .refused(1);
    assert!(
        sentence.contains("the TLS certificate no.pem and its key no.key cannot be used"),
        "{sentence}"
    );
}

#[tokio::test]
async fn figures_are_shown_to_those_who_hold_the_token() {
    let installation = Installation::new()
        .set("KAPELLE_METRICS__TOKEN", "let-me-see")
        .set("KAPELLE_LOG__FORMAT", "json");
    let (server, url) = installation.serve(&[]).await;
    let client = client(None);
    get(&client, &format!("{url}/healthz"), None).await;
    let figures = format!("{url}/metrics");
    assert_eq!(get(&client, &figures, None).await.0, 401);
    let (status, body) = get(&client, &figures, Some("let-me-see")).await;
    assert_eq!(status, 200);
    assert!(body.contains("kapelle_http_request"), "{body}");
    let ended = server.terminate().await;
    let structured = ended
        .log
        .lines()
        .filter(|line| line.starts_with("{\"timestamp\""))
        .count();
    assert!(structured > 2, "{}", ended.log);
}

#[tokio::test]
async fn lines_about_requests_are_written_unless_the_level_leaves_them_out() {
    for (level, lines) in [("info", 1), ("info,kapelle::access=warn", 0)] {
        let installation = Installation::new().set("KAPELLE_LOG__LEVEL", level);
        let (server, url) = installation.serve(&[]).await;
        get(&client(None), &format!("{url}/healthz"), None).await;
        let log = server.terminate().await.log;
        let line = "INFO kapelle::access: request=";
        assert_eq!(log.matches(line).count(), lines, "{level}: {log}");
    }
}

#[tokio::test]
async fn a_server_can_start_with_an_import() {
    let installation = Installation::new();
    let repository = library("acme/lib", &["1.0.0"]);
    let satis = json!({"repositories": [{"type": "vcs", "url": repository.url()}]});
    std::fs::write(installation.folder().join("satis.json"), satis.to_string()).unwrap();
    let (server, _) = installation.serve(&["--import", "satis.json"]).await;
    server.line("organization main is made").await;
    let line = server.line("acme/lib  success").await;
    assert!(line.contains("new"), "{line}");
    server.terminate().await;
    assert_eq!(
        installation.json(&["package", "list"]).await[0]["name"],
        "acme/lib"
    );
}

/// A host that takes connections and never answers.
async fn silent_host() -> (tokio::net::TcpListener, String) {
    let host = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a port");
    let url = format!(
        "http://{}/acme/lib.git",
        host.local_addr().expect("its address")
    );
    (host, url)
}

#[tokio::test]
async fn whoever_is_interrupted_while_waiting_gives_the_job_back() {
    let installation = Installation::with_organization()
        .await
        .set("KAPELLE_VCS__PROTOCOLS", "http")
        .set("KAPELLE_NETWORK__ALLOW", "127.0.0.0/8");
    let (host, url) = silent_host().await;
    let waiting = Process::start(installation.command(&["package", "add", &url, "--wait"]));
    let _connection = host.accept().await.unwrap();
    let ended = waiting.terminate().await;
    assert_eq!(ended.status.code(), Some(130), "{ended:?}");
    assert!(
        ended.log.contains("no longer waiting; job 1 stays queued"),
        "{}",
        ended.log
    );
    let job = installation.json(&["job", "show", "1"]).await;
    assert_eq!(job["state"], "queued", "{job:#}");
}

#[tokio::test]
async fn a_job_that_does_not_end_in_time_goes_back_to_the_queue() {
    let installation = Installation::with_organization()
        .await
        .set("KAPELLE_VCS__PROTOCOLS", "http")
        .set("KAPELLE_NETWORK__ALLOW", "127.0.0.0/8")
        .set("KAPELLE_SERVER__SHUTDOWN_TIMEOUT", "100ms");
    let (host, url) = silent_host().await;
    installation
        .run(&["package", "add", &url])
        .await
        .succeeded();
    let (server, _) = installation.serve(&[]).await;
    let _connection = host.accept().await.unwrap();
    let ended = server.terminate().await;
    assert_eq!(ended.status.code(), Some(0), "{ended:?}");
    assert!(
        ended
            .log
            .contains("jobs did not end in time and go back to the queue"),
        "{}",
        ended.log
    );
    // The schedule may have queued the same synchronization meanwhile; then that one stays.
    let queued = installation
        .json(&["job", "list", "--state", "queued"])
        .await;
    assert_eq!(queued[0]["kind"], "SyncPackage", "{queued:#}");
}

#[tokio::test]
async fn who_connects_and_says_nothing_is_dropped() {
    let installation = Installation::new().set("KAPELLE_SERVER__HEADER_TIMEOUT", "1s");
    let (_server, url) = installation.serve(&[]).await;
    let address = url.trim_start_matches("http://").trim_end_matches('/');
    for said in ["", "P", "PRI * HTTP/2.0\r\n", "GET / HTTP/1.1\r\nHost: x"] {
        let mut client = tokio::net::TcpStream::connect(address)
            .await
            .expect("a connection");
        client.write_all(said.as_bytes()).await.expect("sent");
        let mut rest = Vec::new();
        let dropped = client.read_to_end(&mut rest);
        let ended = tokio::time::timeout(Duration::from_secs(20), dropped).await;
        assert!(ended.is_ok(), "{said:?} is borne with for ever");
    }
}
