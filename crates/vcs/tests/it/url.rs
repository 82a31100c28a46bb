//! Which texts are repository URLs, and which URLs are the same repository.

use kapelle_vcs::{InvalidUrl, Protocol, Protocols, RepositoryUrl};
use rstest::rstest;

fn parse(text: &str) -> Result<RepositoryUrl, InvalidUrl> {
    RepositoryUrl::parse(text, &Protocols::all())
}

#[rstest]
#[case("https://github.com/acme/lib.git", "https://github.com/acme/lib.git")]
#[case("HTTPS://GitHub.COM:443/Acme/Lib", "https://github.com/Acme/Lib")]
#[case("http://git.local:8080/x/", "http://git.local:8080/x/")]
#[case("ssh://git@host:22/a/b.git", "ssh://git@host/a/b.git")]
#[case("ssh://host:2222/~me/b", "ssh://host:2222/~me/b")]
#[case("git@github.com:acme/lib.git", "git@github.com:acme/lib.git")]
#[case("host:a/b", "host:a/b")]
#[case("me@[::1]:a", "me@[::1]:a")]
#[case("https://[2001:DB8::1]:8443/a", "https://[2001:db8::1]:8443/a")]
#[case("git://host/a", "git://host/a")]
#[case("file:///srv/a.git", "file:///srv/a.git")]
#[case("file://localhost/srv/a.git", "file:///srv/a.git")]
#[case("/srv/a.git", "/srv/a.git")]
#[case("https://host./a", "https://host/a")]
#[case("https://münchen.example/a", "https://xn--mnchen-3ya.example/a")]
#[case("https://0x7f.1/a", "https://127.0.0.1/a")]
#[case(
    "https://dev.azure.com/o/My%20Project/_git/r",
    "https://dev.azure.com/o/My%20Project/_git/r"
)]
fn a_url_is_taken_and_written_in_one_form(#[case] text: &str, #[case] written: &str) {
    let url = parse(text).unwrap();
    assert_eq!(url.to_string(), written);
    assert_eq!(parse(written).unwrap(), url);
}

#[rstest]
#[case("", InvalidUrl::Empty)]
#[case("https://h/ a", InvalidUrl::Character)]
#[case("https://h/a\n", InvalidUrl::Character)]
#[case("https://h/a\u{202e}b", InvalidUrl::Character)]
#[case("https://h/a%0ab", InvalidUrl::Path)]
#[case("https://h/a%2fb", InvalidUrl::Path)]
#[case("https://h/a%zzb", InvalidUrl::Path)]
#[case("https://h/a/../b", InvalidUrl::Path)]
#[case("https://h/a/%2e%2e/b", InvalidUrl::Path)]
#[case("git@h:../b", InvalidUrl::Path)]
#[case("/srv/../etc", InvalidUrl::Path)]
#[case("https://h/a?b", InvalidUrl::Query)]
#[case("https://h/a#b", InvalidUrl::Query)]
#[case("https://h", InvalidUrl::NoPath)]
#[case("https://h/", InvalidUrl::NoPath)]
#[case("git@h:", InvalidUrl::NoPath)]
#[case("/", InvalidUrl::NoPath)]
#[case("https:///a", InvalidUrl::Host)]
#[case("https://a..b/c", InvalidUrl::Host)]
#[case("https://../c", InvalidUrl::Host)]
#[case("https://a%2eb/c", InvalidUrl::Host)]
#[case("https://a;b/c", InvalidUrl::Host)]
#[case("$(id):a", InvalidUrl::Host)]
#[case("https://h:0/a", InvalidUrl::Port)]
#[case("https://h:/a", InvalidUrl::Port)]
#[case("https://h:65536/a", InvalidUrl::Port)]
#[case("https://h:+1/a", InvalidUrl::Port)]
#[case("acme/lib", InvalidUrl::Relative)]
#[case("./lib", InvalidUrl::Relative)]
#[case("https:/host/a", InvalidUrl::Relative)]
#[case("file:a", InvalidUrl::Relative)]
#[case("git@h:a://b", InvalidUrl::Relative)]
#[case("secret@host://a", InvalidUrl::Relative)]
#[case("secret:https://h/a", InvalidUrl::Relative)]
#[case("\u{ad}http:/host/a", InvalidUrl::Relative)]
#[case("\u{ff28}ttps:a", InvalidUrl::Relative)]
#[case("file.:a", InvalidUrl::Relative)]
#[case("c.:a", InvalidUrl::WindowsPath)]
#[case("\u{ff43}:a", InvalidUrl::WindowsPath)]
#[case("file://host/a", InvalidUrl::Relative)]
#[case("C:\\repos\\a", InvalidUrl::WindowsPath)]
#[case("C:/repos/a", InvalidUrl::WindowsPath)]
#[case("file:///C:/repos/a", InvalidUrl::WindowsPath)]
#[case("\\\\server\\share", InvalidUrl::WindowsPath)]
#[case("ssh://g it@h/a", InvalidUrl::Character)]
#[case("ssh://g;it@h/a", InvalidUrl::User)]
#[case("ssh://@h/a", InvalidUrl::User)]
#[case("https://ghp_secret@github.com/a/b", InvalidUrl::Secret)]
#[case("https://me:secret@github.com/a/b", InvalidUrl::Secret)]
#[case("ssh://me:secret@h/a", InvalidUrl::Secret)]
#[case("me:secret@h/a", InvalidUrl::Secret)]
#[case("git://me@h/a", InvalidUrl::Secret)]
fn a_text_that_is_no_url_is_refused(#[case] text: &str, #[case] expected: InvalidUrl) {
    let error = parse(text).unwrap_err();
    assert_eq!(error, expected);
    assert!(!error.to_string().contains("secret"));
}

#[rstest]
#[case("-uhttps://h/a")]
#[case("--upload-pack=touch:a")]
#[case("https://-h/a")]
#[case("ssh://-oProxyCommand=id/a")]
#[case("ssh://-l@h/a")]
#[case("-oProxyCommand=id@h:a")]
#[case("git@-oProxyCommand=id:a")]
#[case("git@h:-a")]
#[case("https://h/-a")]
#[case("/-a")]
fn nothing_that_looks_like_an_option_is_taken(#[case] text: &str) {
    assert!(
        matches!(parse(text), Err(InvalidUrl::LikeOption { .. })),
        "{:?}",
        parse(text)
    );
}

#[rstest]
#[case("ext::sh -c id", InvalidUrl::Character)]
#[case("ext::sh", InvalidUrl::RemoteHelper { name: "ext".into() })]
#[case("fd::17/a", InvalidUrl::RemoteHelper { name: "fd".into() })]
#[case("https::https://h/a", InvalidUrl::RemoteHelper { name: "https".into() })]
#[case("::a", InvalidUrl::RemoteHelper { name: String::new() })]
#[case("ftp://h/a", InvalidUrl::UnknownScheme { scheme: "ftp".into() })]
#[case("EXT://h/a", InvalidUrl::UnknownScheme { scheme: "ext".into() })]
#[case("\u{ad}ext::sh", InvalidUrl::RemoteHelper { name: "ext".into() })]
#[case("e\u{ff58}t::sh", InvalidUrl::RemoteHelper { name: "ext".into() })]
fn helpers_and_unknown_schemes_are_refused_by_name(
    #[case] text: &str,
    #[case] expected: InvalidUrl,
) {
    assert_eq!(parse(text), Err(expected));
}

#[test]
fn a_url_may_be_two_kilobytes_long() {
    assert!(parse(&format!("https://h/{}", "a".repeat(2038))).is_ok());
    assert_eq!(
        parse(&format!("https://h/{}", "a".repeat(2039))),
        Err(InvalidUrl::TooLong)
    );
}

#[rstest]
#[case("http://h/a", Protocol::Http)]
#[case("HTTP://h/a", Protocol::Http)]
#[case("git://h/a", Protocol::Git)]
#[case("file:///a", Protocol::File)]
#[case("/a", Protocol::File)]
fn only_https_and_ssh_are_allowed_by_default(#[case] text: &str, #[case] protocol: Protocol) {
    let error = RepositoryUrl::parse(text, &Protocols::default()).unwrap_err();
    assert_eq!(error, InvalidUrl::NotAllowed { protocol });
    let sentence = error.to_string();
    assert!(sentence.contains("vcs.protocols") && sentence.contains("KAPELLE_VCS__PROTOCOLS"));
    assert!(RepositoryUrl::parse("https://h/a", &Protocols::default()).is_ok());
    assert!(RepositoryUrl::parse("git@h:a", &Protocols::default()).is_ok());
}

#[rstest]
#[case("https://github.com/Acme/Lib.git", "github.com/acme/lib")]
#[case("http://GitHub.com/acme/lib/", "github.com/acme/lib")]
#[case("git@github.com:acme/lib.git", "github.com/acme/lib")]
#[case("ssh://git@github.com/acme/lib", "github.com/acme/lib")]
#[case("https://git.acme.test/Acme/Lib.git/", "git.acme.test/Acme/Lib")]
#[case("ssh://git@git.acme.test:2222/a", "git.acme.test:2222/a")]
#[case("ssh://git@git.acme.test:22/a", "git.acme.test/a")]
#[case("/srv/git/a.git", "file:/srv/git/a")]
#[case("file:///srv/git/a.git", "file:/srv/git/a")]
fn the_key_is_the_same_for_every_way_to_one_repository(#[case] text: &str, #[case] key: &str) {
    assert_eq!(parse(text).unwrap().key(), key);
}

#[test]
fn settings_name_protocols_in_a_list() {
    let protocols: Protocols = "https, SSH,file".parse().unwrap();
    let names: Vec<_> = protocols.iter().map(Protocol::name).collect();
    assert_eq!(names, ["https", "ssh", "file"]);
    let error = "https,ftp".parse::<Protocols>().unwrap_err();
    assert_eq!(
        error.to_string(),
        "\"ftp\" is no protocol; known are https, http, ssh, git and file"
    );
}
