//! Keys of ssh hosts, and the secret that hooks are signed with.

use kapelle_testing::ssh_server::SshServer;

use crate::world::{Installation, library};

#[tokio::test]
async fn a_changed_host_key_is_resolved_with_the_command_in_the_sentence() {
    let installation = Installation::with_organization()
        .await
        .set("KAPELLE_VCS__PROTOCOLS", "ssh")
        .set("KAPELLE_NETWORK__ALLOW", "127.0.0.0/8");
    let server = SshServer::start().await;
    let repository = library("acme/lib", &["1.0.0"]);
    let url = server.url(&repository.path());
    let host = url
        .split(['@', '/'])
        .find(|part| part.starts_with("127.0.0.1:"))
        .expect("a host with a port");
    std::fs::write(installation.folder().join("key"), server.private_key()).unwrap();
    let add = ["credential", "add", "--kind", "ssh-key", "--host", host];
    installation
        .run(&[&add[..], &["--secret-file", "key"]].concat())
        .await
        .succeeded();
    let added = installation
        .run(&["package", "add", &url, "--wait"])
        .await
        .succeeded();
    assert!(
        added.stderr.contains("WARN") && added.stderr.contains(&server.fingerprint()),
        "{}",
        added.stderr
    );

    server.replace_host_key();
    let sentence = installation
        .run(&["package", "sync", "acme/lib", "--wait"])
        .await
        .refused(4);
    assert!(
        sentence.contains(&format!("`kapelle host-key remove {host}`")),
        "{sentence}"
    );
    let removed = installation.json(&["host-key", "remove", host]).await;
    assert_eq!(removed["removed"].as_array().unwrap().len(), 1);
    installation
        .run(&["host-key", "remove", host])
        .await
        .refused(3);
    installation
        .run(&["package", "sync", "acme/lib", "--wait"])
        .await
        .succeeded();
    let listed = installation.json(&["host-key", "list"]).await;
    assert_eq!(listed[0]["fingerprint"], server.fingerprint().as_str());
}

#[tokio::test]
async fn the_hook_secret_can_be_replaced() {
    let installation = Installation::with_organization().await;
    let before = installation.json(&["hook", "show"]).await;
    let rotated = installation
        .json(&["hook", "rotate", "--organization", "acme"])
        .await;
    assert_ne!(rotated["secret"], before["secret"]);
    assert_eq!(rotated["hooks"], before["hooks"]);
    assert_eq!(installation.json(&["hook", "show"]).await, rotated);
}
