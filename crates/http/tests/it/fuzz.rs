//! Fuzz targets through the public door: headers, hooks, addresses. Databases differ in what texts they take, so both
//! are asked.

use std::panic::AssertUnwindSafe;

use axum::http::{HeaderValue, Request, Uri};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use kapelle_testing::fuzz::{Script, bytes, check, script, text};
use kapelle_testing::git::GitRepository;
use kapelle_testing::on_both_databases;
use serde_json::json;
use sha2::Sha256;

use crate::app::{Answer, TestApp, basic};

/// Nobody may ever be told this.
const PASSWORD: &str = "s3_cret";
const HEADER_WORDS: &[&str] = &[
    "Basic ",
    "basic",
    "Bearer ",
    "BEARER\t",
    "Digest ",
    "Negotiate ",
    " ",
    "\t",
    ":",
    "==",
    ",",
    "\u{ff}",
    "\0",
    "dG9rZW4",
    "token=",
    "x-oauth-basic",
    "private-token",
];

const HOOK_WORDS: &[&str] = &[
    "{",
    "}",
    "[",
    "]",
    "\"",
    ":",
    ",",
    "%00",
    "\\u0000",
    "\\ud800",
    "null",
    "\"repository\":",
    "\"url\":",
    "%7B",
    "&",
    "=",
    "payload=",
    "https://me:s3_cret@",
    "HTTPS://s3_cret@",
    "\u{1b}",
    "[[[[[[[[[[[[[[[[[[[[[[[[",
    "-",
    "\\n",
    "//",
];

const ADDRESS_WORDS: &[&str] = &[
    "/",
    "//",
    "..",
    "%2e%2e",
    "%2F",
    "%00",
    "%0a",
    "%ff",
    "%F0%9F%98%80",
    "?",
    "&",
    "=",
    "[]",
    "q=",
    "filter=*",
    "*",
    "type=",
    "page=",
    "per_page=",
    "since=",
    "vendor=",
    "hidden",
    "~dev",
    ".json",
    "acme",
    "other",
    "+",
    "%25",
    "'",
    "\"",
    "\\",
    ";",
    "--",
    "packages[]=",
    "9223372036854775808",
    "-1",
];

/// Sends one request from within a fuzz target.
fn send(app: &TestApp, request: axum::http::request::Builder, body: Vec<u8>) -> Answer {
    let answer = async { app.anonymous().send(request, body).await };
    tokio::task::block_in_place(|| tokio::runtime::Handle::current().block_on(answer))
}

fn expect_no_failure(answer: &Answer) {
    assert!(
        answer.status < 500,
        "{}: {}",
        answer.status,
        String::from_utf8_lossy(&answer.body)
    );
    // As the host or in the path of an address it is what the sender takes for a name: `https://me:s3_cret@gs3_cret//`.
    let body = String::from_utf8_lossy(&answer.body);
    for (_, address) in body
        .split_whitespace()
        .filter_map(|word| word.split_once("://"))
    {
        let authority = address.split('/').next().unwrap_or_default();
        let (user, place) = authority.rsplit_once('@').unwrap_or(("", authority));
        let (_host, port) = place.split_once(':').unwrap_or((place, ""));
        assert!(
            !user.contains(PASSWORD) && !port.contains(PASSWORD),
            "{body}"
        );
    }
}

/// What a header shows in any reading of it: itself, and every word of it out of base64.
fn readings(value: &[u8]) -> String {
    let text = String::from_utf8_lossy(value).into_owned();
    let words: Vec<_> = text
        .split([' ', '\t', ','])
        .filter_map(|word| STANDARD.decode(word).ok())
        .collect();
    words.iter().fold(text.clone(), |all, word| {
        all + "\n" + &String::from_utf8_lossy(word)
    })
}

on_both_databases! {
    async fn no_header_opens_the_door_but_one_that_holds_a_good_token(url: String) {
        let app = TestApp::start(&url).await;
        let (read, revoked) = (app.tokens.read.clone(), app.tokens.revoked.clone());
        let seeds = [
            basic("token", &read),
            basic(&read, ""),
            basic(&read, "x-oauth-basic"),
            format!("Bearer {read}"),
            format!("bearer somebody:{read}"),
            read.clone(),
            basic("token", &revoked),
            basic("a", PASSWORD),
            format!("Bearer {}", app.tokens.stranger),
        ];
        let app = AssertUnwindSafe(&app);
        check!().with_generator((bytes(seeds, HEADER_WORDS), 0..4_u8)).for_each(|(value, place): &(Vec<u8>, u8)| {
            let Ok(header) = HeaderValue::from_bytes(value) else { return };
            let (name, path) = [
                ("authorization", "/repo/acme/packages.json"),
                ("authorization", "/repo/acme/p2/acme/none.json"),
                ("private-token", "/repo/acme/packages.json"),
                ("authorization", "/repo/acme/search.json?q="),
            ][usize::from(*place)];
            let answer = send(&app, Request::get(path).header(name, header), Vec::new());
            expect_no_failure(&answer);
            let shown = readings(value);
            if !shown.contains(&read) && !shown.contains(&app.tokens.stranger) {
                assert_eq!(answer.status, 401, "{shown:?}");
            }
            assert!(answer.status != 200 || shown.contains(&read), "{shown:?}");
        });
    }

    async fn no_hook_is_believed_without_the_secret_and_none_fails(url: String) {
        let app = TestApp::start(&url).await;
        app.let_jobs_wait();
        let repository = GitRepository::with_releases(&[("1.0.0", r#"{"name": "acme/lib"}"#)]);
        app.add(&repository).await;
        let address = repository.url();
        let seeds = [
            json!({"ref": "refs/tags/1.0.0", "repository": {"url": address, "clone_url": address}}).to_string(),
            json!({"project": {"git_http_url": format!("https://me:{PASSWORD}@git.example.org/a/b")}}).to_string(),
            json!({"repository": {"links": {"html": {"href": "HTTPS://me:s3_cret@git.example.org/a/b?x#y"}}}}).to_string(),
            json!({"repository": {"links": {"clone": [{"href": address}, {"href": "ssh://git@h:7999/a/b.git"}]}}}).to_string(),
            format!("payload=%7B%22repository%22%3A%22{address}%22%7D&username=acme&apiToken={PASSWORD}"),
            json!({"username": "acme", "apiToken": app.tokens.read, "repository": address}).to_string(),
        ];
        let (secret, app) = (app.hook_secret.clone(), AssertUnwindSafe(&app));
        check!().with_generator((bytes(seeds, HOOK_WORDS), script())).for_each(|(body, script): &(Vec<u8>, Vec<u8>)| {
            let mut script = Script::new(script);
            let (path, header) = [
                ("/hooks/github/acme", "x-hub-signature-256"),
                ("/hooks/gitea/acme", "x-gitea-signature"),
                ("/hooks/bitbucket/acme", "x-hub-signature"),
                ("/api/github?username=acme", "x-hub-signature-256"),
                ("/hooks/gitlab/acme", "x-gitlab-token"),
                ("/hooks/generic/acme", "private-token"),
            ][script.below(6)];
            let kind = ["application/json", "application/x-www-form-urlencoded", "text/plain"][script.below(3)];
            let honest = header != "private-token" && script.byte().is_multiple_of(2);
            let value = match (header, honest) {
                ("x-gitlab-token", true) => secret.clone().into_bytes(),
                (_, true) => format!("sha256={}", signature(&secret, body)).into_bytes(),
                (_, false) => script.raw(80).to_vec(),
            };
            let Ok(value) = HeaderValue::from_bytes(&value) else { return };
            let request = Request::post(path).header(header, value).header("content-type", kind);
            let answer = send(&app, request, body.clone());
            expect_no_failure(&answer);
            if !honest {
                assert!(matches!(answer.status, 401 | 403), "{}", answer.status);
            }
            if answer.status == 202 {
                assert!(readable(body).contains("/repository"), "{}", readable(body));
            }
        });
    }

    async fn no_address_fails_and_none_tells_a_stranger_what_is_there(url: String) {
        let app = TestApp::start(&url).await;
        app.let_jobs_wait();
        let manifest = r#"{"name": "acme/hidden-name", "description": "hidden words"}"#;
        app.add(&GitRepository::with_releases(&[("1.0.0", manifest)])).await;
        let places = [
            "/repo/acme/packages.json", "/repo/acme/packages/list.json?filter=acme/*", "/repo/acme/search.json?q=hidden&page=1",
            "/repo/acme/p2/acme/hidden-name.json", "/repo/acme/p2/acme/hidden-name~dev.json",
            "/repo/acme/providers/acme/hidden-name.json", "/repo/acme/metadata/changes.json?since=0",
            "/repo/acme/security-advisories?packages[]=acme/hidden-name", "/repo/acme/", "/healthz", "/hooks/github/acme",
            "/repo/acme/dists/acme/hidden-name/0123456789abcdef0123456789abcdef01234567.zip", "/repo/other/packages.json",
        ];
        let who = [None, Some(app.tokens.stranger.clone()), Some(app.tokens.read.clone())];
        let app = AssertUnwindSafe(&app);
        check!().with_generator((text(places, ADDRESS_WORDS), 0..3_usize)).for_each(|(address, who_asks): &(String, usize)| {
            let Ok(uri) = address.parse::<Uri>() else { return };
            if uri.scheme().is_some() || !address.starts_with('/') {
                return;
            }
            let token = &who[*who_asks];
            let mut request = Request::get(uri.clone());
            if let Some(token) = token {
                request = request.header("authorization", basic("token", token));
            }
            let answer = send(&app, request, Vec::new());
            expect_no_failure(&answer);
            if *who_asks == 2 {
                return;
            }
            let body = String::from_utf8_lossy(&answer.body).into_owned();
            let echoed = address.contains("hidden");
            assert!(echoed || !body.contains("hidden"), "{address}: {body}");
            assert!(!body.contains("hidden words"), "{address}: {body}");
            if token.is_none() && uri.path().starts_with("/repo/") && uri.path().len() > 7 {
                // Whether an address can be decoded depends on nothing that is there.
                assert!(matches!(answer.status, 400 | 401), "{address}: {body}");
            }
        });
    }
}

fn signature(secret: &str, body: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(body);
    hex::encode(mac.finalize().into_bytes())
}

fn readable(body: &[u8]) -> String {
    String::from_utf8_lossy(body)
        .replace('\0', "")
        .replace("%00", "")
        .replace("%2F", "/")
        .replace("\\/", "/")
}
