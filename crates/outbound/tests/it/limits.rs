//! Answers that are too large, too slow or cut short.

use std::convert::Infallible;
use std::io::Write;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::response::IntoResponse;
use axum::routing::get as on_get;
use flate2::{Compression, write::GzEncoder};
use futures::{StreamExt, TryStreamExt, stream};
use kapelle_outbound::{Bytes, ClientConfig, HeaderMap, OutboundError, Request, Url};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::world::{client, get, loopback, serve};

const MEBIBYTE: u64 = 1 << 20;

fn endless() -> Body {
    let piece = Ok::<_, Infallible>(Bytes::from_static(&[b'x'; 8192]));
    Body::from_stream(stream::repeat(piece))
}

/// A server that answers every connection with these bytes and closes it.
async fn raw(answer: &'static str) -> Url {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let mut request = [0; 4096];
            let _read = socket.read(&mut request).await.unwrap();
            socket.write_all(answer.as_bytes()).await.unwrap();
        }
    });
    format!("http://{address}/").parse().unwrap()
}

#[tokio::test]
async fn an_endless_body_is_cut_at_the_limit() {
    let server = serve(Router::new().route("/", on_get(|| async { endless() }))).await;
    let error = get(&client(loopback()), &server).await.unwrap_err();
    assert!(
        matches!(
            error,
            OutboundError::TooLarge {
                limit: MEBIBYTE,
                ..
            }
        ),
        "{error}"
    );
}

#[tokio::test]
async fn a_body_announced_as_too_large_is_not_read() {
    let server = raw("HTTP/1.1 200 OK\r\ncontent-length: 99999999999\r\n\r\nx").await;
    let error = get(&client(loopback()), &server).await.unwrap_err();
    assert!(matches!(error, OutboundError::TooLarge { .. }), "{error}");
}

#[tokio::test]
async fn a_body_of_exactly_the_limit_is_read() {
    let server = serve(Router::new().route("/", on_get(|| async { "12345678" }))).await;
    let client = client(loopback());
    let answer = client.get(&server, HeaderMap::new(), 8).await.unwrap();
    assert_eq!(answer.body, "12345678");
    let error = client.get(&server, HeaderMap::new(), 7).await.unwrap_err();
    assert!(
        matches!(error, OutboundError::TooLarge { limit: 7, .. }),
        "{error}"
    );
}

#[tokio::test]
async fn a_small_compressed_body_that_inflates_beyond_the_limit_is_cut() {
    let mut bomb = GzEncoder::new(Vec::new(), Compression::best());
    for _ in 0..64 {
        bomb.write_all(&vec![0; 1 << 20]).unwrap();
    }
    let bomb = Bytes::from(bomb.finish().unwrap());
    assert!((bomb.len() as u64) < MEBIBYTE);
    let router = Router::new().route(
        "/",
        on_get(move || async move { ([("content-encoding", "gzip")], bomb).into_response() }),
    );
    let error = get(&client(loopback()), &serve(router).await)
        .await
        .unwrap_err();
    assert!(matches!(error, OutboundError::TooLarge { .. }), "{error}");
}

#[tokio::test]
async fn a_body_shorter_than_announced_is_an_error() {
    let server = raw("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nonly").await;
    let error = get(&client(loopback()), &server).await.unwrap_err();
    assert!(
        matches!(error, OutboundError::Interrupted { .. }),
        "{error}"
    );
    assert!(error.is_temporary());
}

#[tokio::test]
async fn bytes_after_the_announced_length_are_ignored() {
    let server = raw("HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nonly this").await;
    assert_eq!(
        get(&client(loopback()), &server).await.unwrap().body,
        "only"
    );
}

#[tokio::test]
async fn an_answer_that_is_not_http_is_an_error() {
    let server = raw("SSH-2.0-OpenSSH_9.9\r\n").await;
    let error = get(&client(loopback()), &server).await.unwrap_err();
    assert!(
        matches!(error, OutboundError::Interrupted { .. }),
        "{error}"
    );
}

#[tokio::test]
async fn headers_larger_than_allowed_are_refused() {
    let router = Router::new().route(
        "/",
        on_get(|| async { ([("x-large", "x".repeat(70_000))], "") }),
    );
    let error = get(&client(loopback()), &serve(router).await)
        .await
        .unwrap_err();
    assert!(
        matches!(error, OutboundError::HeadersTooLarge { limit: 65_536, .. }),
        "{error}"
    );
}

#[tokio::test]
async fn an_answer_that_does_not_begin_is_given_up() {
    let router = Router::new().route("/", on_get(std::future::pending::<()>));
    let config = ClientConfig {
        first_byte: Duration::from_millis(40),
        ..loopback()
    };
    let server = serve(router).await;
    let error = get(&client(config), &server).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("{server} did not begin to answer within 40 ms")
    );
    assert!(error.is_temporary());
}

#[tokio::test]
async fn an_answer_that_does_not_end_is_given_up() {
    let router = Router::new().route(
        "/",
        on_get(|| async {
            let begun = stream::iter([Ok::<_, Infallible>(Bytes::from_static(b"begun"))]);
            Body::from_stream(begun.chain(stream::pending()))
        }),
    );
    let config = ClientConfig {
        total: Duration::from_millis(300),
        ..loopback()
    };
    let server = serve(router).await;
    let error = get(&client(config), &server).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("the exchange with {server} took longer than 300 ms and was given up")
    );
}

#[tokio::test]
async fn a_streamed_body_comes_in_pieces_and_ends_at_the_limit() {
    let server = serve(Router::new().route("/", on_get(|| async { endless() }))).await;
    let request = Request::get(&server, HeaderMap::new(), MEBIBYTE);
    let answer = client(loopback()).stream(request).await.unwrap();
    let outcome: Vec<_> = answer
        .body
        .into_stream()
        .map_ok(|piece| piece.len())
        .collect()
        .await;
    let (last, pieces) = outcome.split_last().unwrap();
    assert!(
        matches!(last, Err(OutboundError::TooLarge { .. })),
        "{last:?}"
    );
    assert!(pieces.iter().all(Result::is_ok));
}
