//! Host budgets.

use futures::FutureExt;
use kapelle_outbound::ClientConfig;

use crate::world::{client, loopback};

#[tokio::test]
async fn a_host_has_so_many_permits_and_each_comes_back() {
    let client = client(ClientConfig {
        per_host: 2,
        ..loopback()
    });
    let first = client.host_permit("git.example.org").await;
    let _second = client.clone().host_permit("GIT.example.org").await;
    assert!(
        client
            .host_permit("git.example.org")
            .now_or_never()
            .is_none()
    );
    assert!(
        client
            .host_permit("other.example.org")
            .now_or_never()
            .is_some()
    );
    drop(first);
    assert!(
        client
            .host_permit("git.example.org")
            .now_or_never()
            .is_some()
    );
}

#[tokio::test]
async fn many_hosts_do_not_make_the_client_forget_one_that_is_in_use() {
    let client = client(ClientConfig {
        per_host: 1,
        ..loopback()
    });
    let _held = client.host_permit("busy.example.org").await;
    for number in 0..1000 {
        client
            .host_permit(&format!("host-{number}.example.org"))
            .await;
    }
    assert!(
        client
            .host_permit("busy.example.org")
            .now_or_never()
            .is_none()
    );
}
