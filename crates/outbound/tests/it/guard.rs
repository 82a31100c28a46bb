//! URLs and names that lead where nobody may go.

use axum::Router;
use axum::response::Redirect;
use axum::routing::get as on_get;
use kapelle_outbound::{ClientConfig, HeaderMap, OutboundError, Url};
use rstest::rstest;

use crate::world::{Names, client, get, loopback, serve};

async fn refusal(config: ClientConfig, url: &str) -> String {
    let url: Url = url.parse().unwrap();
    get(&client(config), &url).await.unwrap_err().to_string()
}

#[rstest]
#[case("http://127.0.0.1/", "127.0.0.1")]
#[case("http://2130706433/", "127.0.0.1")]
#[case("http://0x7f000001/", "127.0.0.1")]
#[case("http://0x7f.1/", "127.0.0.1")]
#[case("http://0177.0.0.01/", "127.0.0.1")]
#[case("http://127.1/", "127.0.0.1")]
#[case("http://127.0.0.1./", "127.0.0.1")]
#[case("http://%31%32%37.0.0.1/", "127.0.0.1")]
#[case("http://１２７.0.0.1/", "127.0.0.1")]
#[case("http://0/", "0.0.0.0")]
#[case("http://[::1]/", "::1")]
#[case("http://[::ffff:127.0.0.1]/", "::ffff:127.0.0.1")]
#[case("http://[64:ff9b::7f00:1]/", "64:ff9b::7f00:1")]
#[case("https://169.254.169.254/latest/meta-data/", "169.254.169.254")]
#[tokio::test]
async fn a_literal_address_is_refused_in_every_spelling(#[case] url: &str, #[case] named: &str) {
    let sentence = refusal(ClientConfig::default(), url).await;
    assert!(
        sentence.contains(&format!("has the address {named}, which is")),
        "{sentence}"
    );
}

#[tokio::test]
async fn a_refusal_names_host_address_and_setting() {
    insta::assert_snapshot!(
        refusal(ClientConfig::default(), "http://localhost/x").await,
        @r#"host "localhost" has the address 127.0.0.1, which is a loopback address and not allowed; if it is meant to be reached, add its range to network.allow (KAPELLE_NETWORK__ALLOW)"#
    );
}

#[tokio::test]
async fn an_allowed_name_is_reached_through_the_systems_resolver() {
    let server = serve(Router::new().route("/", on_get(|| async { "hello" }))).await;
    let mut url = server.clone();
    url.set_host(Some("localhost")).unwrap();
    let answer = get(&client(loopback()), &url).await.unwrap();
    assert_eq!(answer.body, "hello");
    assert_eq!(answer.url, url);
}

#[tokio::test]
async fn one_private_address_among_public_ones_refuses_the_host() {
    let config = ClientConfig {
        lookup: Names::new([("mixed.example.org", &["127.0.0.1", "10.0.0.5"])]),
        ..loopback()
    };
    let sentence = refusal(config, "http://mixed.example.org/").await;
    assert!(
        sentence.starts_with(r#"host "mixed.example.org" has the address 10.0.0.5"#),
        "{sentence}"
    );
}

#[tokio::test]
async fn a_name_without_an_address_says_so() {
    let config = ClientConfig {
        lookup: Names::new([("empty.example.org", &[])]),
        ..loopback()
    };
    let client = client(config);
    for (url, expected) in [
        (
            "http://gone.example.org/",
            r#"host "gone.example.org" could not be resolved: no such name"#,
        ),
        (
            "http://empty.example.org/",
            r#"host "empty.example.org" could not be resolved: it has no address"#,
        ),
    ] {
        let error = get(&client, &url.parse().unwrap()).await.unwrap_err();
        assert_eq!(error.to_string(), expected);
        assert!(error.is_temporary());
    }
}

#[tokio::test]
async fn resolving_for_git_obeys_the_same_policy() {
    let client = client(ClientConfig {
        lookup: Names::new([
            ("git.example.org", &["93.184.216.34", "2606:4700::1"]),
            ("inside.example.org", &["192.168.0.9"]),
        ]),
        ..loopback()
    });
    let found = client.resolve("git.example.org", 22).await.unwrap();
    assert_eq!(found.len(), 2);
    assert!(client.resolve("127.0.0.1", 22).await.is_ok());
    for host in ["inside.example.org", "10.1.1.1", "0xa.1", "::1", "[::1]"] {
        let error = client.resolve(host, 22).await.unwrap_err();
        assert!(
            matches!(error, OutboundError::Forbidden { .. }),
            "{host}: {error}"
        );
    }
    for host in ["", "a b", "-oProxyCommand=x y", "[::1"] {
        let error = client.resolve(host, 22).await.unwrap_err();
        assert!(
            matches!(error, OutboundError::InvalidHost { .. }),
            "{host}: {error}"
        );
    }
}

#[rstest]
#[case("http://10.0.0.1/")]
#[case("http://metadata.example.org/")]
#[case("//169.254.169.254/")]
#[tokio::test]
async fn a_redirect_to_a_forbidden_address_is_refused(#[case] location: &'static str) {
    let router = Router::new().route("/", on_get(move || async move { Redirect::to(location) }));
    let server = serve(router).await;
    let config = ClientConfig {
        lookup: Names::new([("metadata.example.org", &["169.254.169.254"])]),
        ..loopback()
    };
    let client = client(config);
    let error = get(&client, &server).await.unwrap_err();
    assert!(matches!(error, OutboundError::Forbidden { .. }), "{error}");
    let error = client.follow(&server, HeaderMap::new()).await.unwrap_err();
    assert!(matches!(error, OutboundError::Forbidden { .. }), "{error}");
}

#[rstest]
#[case("file:///etc/passwd")]
#[case("ftp://example.org/")]
#[case("gopher://127.0.0.1:6379/_FLUSHALL")]
#[case("data:text/plain,x")]
#[tokio::test]
async fn only_http_is_requested_or_redirected_to(#[case] url: &'static str) {
    let error = get(&client(loopback()), &url.parse().unwrap())
        .await
        .unwrap_err();
    assert!(matches!(error, OutboundError::Scheme { .. }), "{error}");
    let router = Router::new().route("/", on_get(move || async move { Redirect::to(url) }));
    let error = get(&client(loopback()), &serve(router).await)
        .await
        .unwrap_err();
    assert!(matches!(error, OutboundError::Scheme { .. }), "{error}");
}

#[tokio::test]
async fn user_information_in_a_url_is_refused_and_not_repeated() {
    let sentence = refusal(
        loopback(),
        "https://deploy:s3cret@example.org/a?token=hush#frag",
    )
    .await;
    insta::assert_snapshot!(
        sentence,
        @"https://example.org/a was not requested: it contains a user name or password; store them as a credential instead"
    );
    let router = Router::new().route(
        "/",
        on_get(|| async { Redirect::to("http://deploy:s3cret@127.0.0.1:1/") }),
    );
    let error = get(&client(loopback()), &serve(router).await)
        .await
        .unwrap_err();
    assert!(!format!("{error} {error:?}").contains("s3cret"), "{error}");
}

#[tokio::test]
async fn an_error_of_the_network_does_not_show_the_query() {
    let sentence = refusal(loopback(), "http://127.0.0.1:1/hook?secret=hush").await;
    assert!(
        sentence.starts_with("no connection to http://127.0.0.1:1/hook: "),
        "{sentence}"
    );
    assert!(!sentence.contains("hush"), "{sentence}");
}
