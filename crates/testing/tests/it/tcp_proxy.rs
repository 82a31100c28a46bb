//! The network that fails on demand, between a client and a server that repeats what it hears.

use std::net::SocketAddr;
use std::time::Duration;

use kapelle_testing::tcp_proxy::TcpProxy;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

/// Long enough to notice that nothing comes.
const SILENCE: Duration = Duration::from_millis(150);
/// How long what does come may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

async fn echo() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let (mut from, mut to) = stream.into_split();
                let _repeated = tokio::io::copy(&mut from, &mut to).await;
            });
        }
    });
    address
}

async fn answers(stream: &mut TcpStream) -> bool {
    stream.write_all(b"!").await.unwrap();
    hears(stream, PATIENCE).await
}

async fn is_silent(stream: &mut TcpStream) -> bool {
    stream.write_all(b"!").await.unwrap();
    !hears(stream, SILENCE).await
}

async fn hears(stream: &mut TcpStream, patience: Duration) -> bool {
    let mut byte = [0];
    let read = timeout(patience, stream.read_exact(&mut byte)).await;
    matches!(read, Ok(Ok(_)))
}

#[tokio::test]
async fn a_cut_closes_what_is_open_and_takes_what_is_new() {
    let proxy = TcpProxy::to(echo().await).await;
    let mut first = TcpStream::connect(proxy.address()).await.unwrap();
    assert!(answers(&mut first).await);
    assert_eq!(proxy.connections(), 1);

    proxy.cut();
    assert_eq!(
        timeout(PATIENCE, first.read(&mut [0]))
            .await
            .unwrap()
            .unwrap_or(0),
        0
    );
    let mut second = TcpStream::connect(proxy.address()).await.unwrap();
    assert!(answers(&mut second).await);
}

#[tokio::test]
async fn what_is_refused_is_taken_again_at_the_same_address_afterwards() {
    let proxy = TcpProxy::to(echo().await).await;
    proxy.refuse();
    let refused = async || TcpStream::connect(proxy.address()).await.is_err();
    while !refused().await {
        tokio::task::yield_now().await;
    }
    proxy.restore().await;
    let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
    assert!(answers(&mut stream).await);
}

#[tokio::test]
async fn a_black_hole_keeps_what_it_swallowed_and_a_forgotten_connection_stays_silent() {
    let proxy = TcpProxy::to(echo().await).await;
    let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
    assert!(answers(&mut stream).await);

    proxy.black_hole();
    let mut other = TcpStream::connect(proxy.address()).await.unwrap();
    assert!(is_silent(&mut stream).await && is_silent(&mut other).await);
    proxy.restore().await;
    assert!(hears(&mut stream, PATIENCE).await && hears(&mut other, PATIENCE).await);

    proxy.forget();
    assert!(is_silent(&mut stream).await);
    let mut fresh = TcpStream::connect(proxy.address()).await.unwrap();
    assert!(answers(&mut fresh).await);
}
