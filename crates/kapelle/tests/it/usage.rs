//! Code 2: the command line is wrong, and says how it would be right.

use rstest::rstest;

use crate::world::{Installation, library};

#[rstest]
#[case(&["setup", "--organization", "ACME Corp"], "cannot be the name of an organization")]
#[case(&["setup", "--organization", "acme", "--email", "nobody"], "is not an e-mail address")]
#[case(&["package", "add", "ftp://example.com/lib.git"], "the scheme \"ftp\" is not known")]
#[case(&["credential", "add", "--kind", "token", "--host", "https://example.com"], "is not a host")]
#[case(&["token", "create", "--description", "a\nb"], "the description of a token")]
#[case(&["package", "sync"], "kapelle package sync <NAME|--all>")]
#[case(&["package", "sync", "acme/lib", "--all"], "cannot be used with")]
#[tokio::test]
async fn a_value_that_can_never_be_right_is_wrong_usage(
    #[case] arguments: &[&str],
    #[case] reason: &str,
) {
    let installation = Installation::with_organization().await;
    let sentence = installation.run(arguments).await.refused(2);
    assert!(sentence.contains(reason), "{sentence}");
}

#[tokio::test]
async fn the_list_of_packages_has_the_id_that_names_a_package_without_a_name() {
    let installation = Installation::with_organization().await;
    let repository = library("acme/lib", &["1.0.0"]);
    let added = installation
        .json(&["package", "add", &repository.url()])
        .await;
    let id = added["id"].to_string();
    let table = installation
        .run(&["package", "list"])
        .await
        .succeeded()
        .stdout;
    let mut lines = table.lines().map(|line| line.split_whitespace().next());
    assert_eq!(
        (lines.next(), lines.next()),
        (Some(Some("ID")), Some(Some(id.as_str()))),
        "{table}"
    );
    installation
        .run(&["package", "show", &id])
        .await
        .succeeded();
}
