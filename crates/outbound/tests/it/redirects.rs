//! What is sent where when an answer points elsewhere.

use std::fmt::Write;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::{Path, Request};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect};
use axum::routing::{any, get as on_get};
use kapelle_outbound::{
    Bytes, ClientConfig, HeaderMap, HeaderName, HeaderValue, Method, OutboundError, Url,
};
use rstest::rstest;

use crate::world::{client, get, loopback, serve, serve_tls};

/// A server that says what it was sent, one line for the request, one per header of interest, then the body.
fn echo() -> Router {
    Router::new().fallback(any(async |request: Request| {
        let (parts, body) = request.into_parts();
        let mut text = format!("{} {}", parts.method, parts.uri.path());
        for name in [
            "authorization",
            "cookie",
            "private-token",
            "accept",
            "content-type",
        ] {
            if let Some(value) = parts.headers.get(name).filter(|value| *value != "*/*") {
                write!(text, "\n{name}: {}", value.to_str().unwrap()).unwrap();
            }
        }
        let body = axum::body::to_bytes(body, 1024).await.unwrap();
        text + "\n" + std::str::from_utf8(&body).unwrap()
    }))
}

/// A server whose every path answers with this status and location.
fn pointing(status: u16, location: String) -> Router {
    let status = StatusCode::from_u16(status).unwrap();
    Router::new().fallback(any(async move || (status, [("location", location)])))
}

fn headers() -> HeaderMap {
    HeaderMap::from_iter(
        [
            ("authorization", "Bearer hush"),
            ("cookie", "session=hush"),
            ("private-token", "hush"),
            ("accept", "application/json"),
        ]
        .map(|(name, value)| {
            (
                HeaderName::from_static(name),
                HeaderValue::from_static(value),
            )
        }),
    )
}

fn request(method: Method, url: &Url, body: &'static str) -> kapelle_outbound::Request {
    kapelle_outbound::Request {
        method,
        url: url.clone(),
        headers: HeaderMap::new(),
        body: (!body.is_empty()).then_some(Bytes::from_static(body.as_bytes())),
        max_bytes: 1024,
    }
}

#[tokio::test]
async fn credentials_stay_with_the_origin_they_were_meant_for() {
    let other = serve(echo()).await;
    let router = echo()
        .route("/near", on_get(|| async { Redirect::to("/arrived") }))
        .route("/far", on_get(async move || Redirect::to(other.as_str())));
    let server = serve(router).await;
    let client = client(loopback());
    let near = client
        .get(&server.join("near").unwrap(), headers(), 1024)
        .await
        .unwrap();
    insta::assert_snapshot!(std::str::from_utf8(&near.body).unwrap(), @r"
    GET /arrived
    authorization: Bearer hush
    cookie: session=hush
    private-token: hush
    accept: application/json
    ");
    let far = client
        .get(&server.join("far").unwrap(), headers(), 1024)
        .await
        .unwrap();
    insta::assert_snapshot!(std::str::from_utf8(&far.body).unwrap(), @r"
    GET /
    accept: application/json
    ");
}

#[tokio::test]
async fn credentials_do_not_come_back_when_the_redirect_does() {
    let home = Arc::new(Mutex::new(String::new()));
    let back = Arc::clone(&home);
    let other = serve(Router::new().fallback(any(async move || {
        let home = back.lock().unwrap().clone();
        Redirect::to(&home)
    })))
    .await;
    let server =
        serve(echo().route("/far", on_get(async move || Redirect::to(other.as_str())))).await;
    *home.lock().unwrap() = server.join("home").unwrap().into();
    let answer = client(loopback())
        .get(&server.join("far").unwrap(), headers(), 1024)
        .await
        .unwrap();
    assert_eq!(answer.body, "GET /home\naccept: application/json\n");
}

#[rstest]
#[case(301, Method::POST, "GET")]
#[case(302, Method::POST, "GET")]
#[case(303, Method::POST, "GET")]
#[case(307, Method::POST, "POST")]
#[case(308, Method::POST, "POST")]
#[case(302, Method::PUT, "PUT")]
#[case(303, Method::PUT, "GET")]
#[tokio::test]
async fn the_method_after_a_redirect_follows_the_fetch_standard(
    #[case] status: u16,
    #[case] method: Method,
    #[case] becomes: &str,
) {
    let router = echo().nest_service("/old", pointing(status, "/new".to_owned()));
    let url = serve(router).await.join("old/").unwrap();
    let answer = client(loopback())
        .send(request(method, &url, "a body"))
        .await
        .unwrap();
    let body = if becomes == "GET" { "" } else { "a body" };
    assert_eq!(answer.body, format!("{becomes} /new\n{body}"));
}

#[tokio::test]
async fn a_body_is_not_handed_to_another_host() {
    let mut other = serve(echo()).await;
    other.set_host(Some("localhost")).unwrap();
    let server = serve(pointing(307, other.to_string())).await;
    let error = client(loopback())
        .send(request(Method::POST, &server, "a secret"))
        .await
        .unwrap_err();
    assert!(
        matches!(error, OutboundError::BodyToOtherHost { .. }),
        "{error}"
    );
}

#[tokio::test]
async fn five_redirects_are_followed_and_a_sixth_is_not() {
    let router = Router::new().route(
        "/{left}",
        on_get(async |Path(left): Path<u32>| match left {
            0 => "arrived".into_response(),
            _ => Redirect::to(&format!("/{}", left - 1)).into_response(),
        }),
    );
    let server = serve(router).await;
    let client = client(loopback());
    let end = client
        .follow(&server.join("5").unwrap(), HeaderMap::new())
        .await
        .unwrap();
    assert_eq!(end, server.join("0").unwrap());
    let error = get(&client, &server.join("6").unwrap()).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("{server}6 was given up after 5 redirects")
    );
}

#[tokio::test]
async fn a_redirect_loop_ends() {
    let server = serve(pointing(302, "/".to_owned())).await;
    let error = get(&client(loopback()), &server).await.unwrap_err();
    assert!(
        matches!(error, OutboundError::TooManyRedirects { .. }),
        "{error}"
    );
}

#[tokio::test]
async fn a_location_that_is_no_url_is_an_error_and_a_missing_one_is_an_answer() {
    let server = serve(pointing(302, "http://".to_owned())).await;
    let error = get(&client(loopback()), &server).await.unwrap_err();
    assert!(
        matches!(error, OutboundError::InvalidRedirect { .. }),
        "{error}"
    );
    let without = Router::new().fallback(any(|| async { StatusCode::MOVED_PERMANENTLY }));
    let answer = get(&client(loopback()), &serve(without).await)
        .await
        .unwrap();
    assert_eq!(answer.status, StatusCode::MOVED_PERMANENTLY);
}

#[tokio::test]
async fn a_redirect_from_https_to_http_is_not_followed() {
    let plain = serve(echo()).await;
    let to = plain.to_string();
    let (server, certificate) =
        serve_tls(echo().route("/down", on_get(async move || Redirect::to(plain.as_str())))).await;
    let trusting = client(ClientConfig {
        extra_roots: vec![certificate],
        ..loopback()
    });
    let answer = get(&trusting, &server.join("x").unwrap()).await.unwrap();
    assert!(answer.body.starts_with(b"GET /x\n"));
    let down = server.join("down").unwrap();
    let error = get(&trusting, &down).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("{down} redirects to {to}, which is not encrypted; the redirect was not followed")
    );
}

#[tokio::test]
async fn a_certificate_that_nobody_vouches_for_is_refused() {
    let (server, _) = serve_tls(echo()).await;
    let error = get(&client(loopback()), &server).await.unwrap_err();
    assert!(matches!(error, OutboundError::Connect { .. }), "{error}");
    assert!(error.to_string().contains("certificate"), "{error}");
}

#[tokio::test]
async fn a_root_certificate_that_is_none_is_reported_when_the_client_is_built() {
    let config = ClientConfig {
        extra_roots: vec![
            b"-----BEGIN CERTIFICATE-----\nnonsense\n-----END CERTIFICATE-----\n".to_vec(),
        ],
        ..loopback()
    };
    let error = kapelle_outbound::Client::new(config).unwrap_err();
    assert!(matches!(error, OutboundError::Setup { .. }), "{error}");
}
