//! What a server does with connections that cost it something.

use std::process::Command;
use std::time::Duration;

use kapelle_testing::process::{Process, wrapped};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::world::Installation;

/// Open files that the server may have; it needs some of them for itself.
const FILES: &str = "256";
/// More than there is room for, and few enough that the others wait in the system's queue.
const CLIENTS: usize = 280;

/// The same command with fewer open files.
fn with_few_files(command: &Command) -> Command {
    wrapped(
        "sh",
        &["-c", r#"ulimit -n "$0" && exec "$@""#, FILES],
        command,
    )
}

/// What the server says about its health.
async fn healthz(address: &str) -> String {
    let mut stream = TcpStream::connect(address).await.expect("a connection");
    let request = "GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    stream.write_all(request.as_bytes()).await.expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("an answer");
    answer
}

#[tokio::test]
async fn a_server_without_room_for_connections_goes_on_when_there_is_some_again() {
    let installation = Installation::new();
    let command = installation.command(&["serve", "--listen", "127.0.0.1:0"]);
    let server = Process::start(with_few_files(&command));
    let url = server.url("listening on").await;
    let address = url.trim_start_matches("http://").trim_end_matches('/');
    let mut clients = Vec::new();
    for _ in 0..CLIENTS {
        clients.push(TcpStream::connect(address).await.expect("a connection"));
    }
    server.line("as many connections as").await;
    drop(clients);
    let answer = tokio::time::timeout(Duration::from_secs(20), healthz(address)).await;
    let answer = answer.expect("the server answers again");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let ended = server.terminate().await;
    assert!(ended.status.success(), "{ended:?}");
    let said = ended.log.matches("as many connections as").count();
    assert!(said == 1, "it said so {said} times");
}
