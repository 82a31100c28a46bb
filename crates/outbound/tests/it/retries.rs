//! Trying again, and leaving it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::http::{HeaderMap as Headers, StatusCode};
use axum::routing::any;
use kapelle_outbound::{ClientConfig, HeaderMap, RetryPolicy, Url};

use crate::world::{client, get, loopback, serve};

/// Answers 503 (with this `Retry-After`, if any) so often, then 200. Counts.
async fn busy(times: usize, retry_after: Option<&'static str>) -> (Url, Arc<AtomicUsize>) {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let router = Router::new().fallback(any(async move || {
        if count.fetch_add(1, Ordering::SeqCst) >= times {
            return (StatusCode::OK, Headers::new());
        }
        let mut headers = Headers::new();
        if let Some(wait) = retry_after {
            headers.insert("retry-after", wait.parse().unwrap());
        }
        (StatusCode::SERVICE_UNAVAILABLE, headers)
    }));
    (serve(router).await, asked)
}

fn patient() -> ClientConfig {
    ClientConfig {
        retry: RetryPolicy {
            attempts: 3,
            first_wait: Duration::from_millis(1),
            longest_wait: Duration::from_millis(2),
        },
        ..loopback()
    }
}

#[tokio::test]
async fn a_get_is_tried_again_while_the_server_is_busy() {
    let (server, asked) = busy(2, None).await;
    let answer = get(&client(patient()), &server).await.unwrap();
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(asked.load(Ordering::SeqCst), 3);
}

#[tokio::test]
async fn after_the_last_try_the_answer_is_passed_on() {
    let (server, asked) = busy(usize::MAX, Some("0")).await;
    let answer = get(&client(patient()), &server).await.unwrap();
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(asked.load(Ordering::SeqCst), 3);
}

#[tokio::test]
async fn a_server_that_wants_an_hour_is_not_asked_again() {
    let (server, asked) = busy(usize::MAX, Some("3600")).await;
    let answer = get(&client(patient()), &server).await.unwrap();
    assert_eq!(answer.headers["retry-after"], "3600");
    assert_eq!(asked.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_post_is_never_repeated() {
    let (server, asked) = busy(usize::MAX, None).await;
    let answer = client(patient())
        .post_json(&server, HeaderMap::new(), &"body", 1024)
        .await
        .unwrap();
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(asked.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_refused_connection_is_tried_again_and_then_reported() {
    let config = ClientConfig {
        total: Duration::from_secs(20),
        ..patient()
    };
    let error = get(&client(config), &"http://127.0.0.1:1/".parse().unwrap())
        .await
        .unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("no connection to http://127.0.0.1:1/: "),
        "{error}"
    );
}

#[tokio::test]
async fn waiting_never_passes_the_total_time() {
    let (server, asked) = busy(usize::MAX, None).await;
    let config = ClientConfig {
        total: Duration::from_secs(30),
        retry: RetryPolicy {
            attempts: 9,
            first_wait: Duration::from_mins(2),
            longest_wait: Duration::from_mins(2),
        },
        ..loopback()
    };
    let answer = get(&client(config), &server).await.unwrap();
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(asked.load(Ordering::SeqCst), 1);
}
