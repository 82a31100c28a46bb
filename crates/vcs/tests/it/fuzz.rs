//! Fuzz targets of repository URLs.

use kapelle_outbound::Url;
use kapelle_testing::fuzz::{check, text};
use kapelle_vcs::{Protocol, Protocols, RepositoryUrl};

const SEEDS: [&str; 16] = [
    "https://github.com/acme/lib.git",
    "HTTPS://GitHub.COM:443/Acme/Lib",
    "http://git.local:8080/x/",
    "ssh://git@host:22/a/b.git",
    "ssh://host:2222/~me/b",
    "git@github.com:acme/lib.git",
    "host:a/b",
    "me@[::1]:a",
    "https://[2001:DB8::1]:8443/a",
    "git://host/a",
    "file:///srv/a.git",
    "file://localhost/srv/a.git",
    "/srv/a.git",
    "https://münchen.example/a",
    "https://0x7f.1/a",
    "https://me:s3_cret@dev.azure.com/o/My%20Project/_git/r",
];
const WORDS: &[&str] = &[
    "://",
    ":",
    "/",
    "//",
    "@",
    "-",
    "--",
    ".",
    "..",
    "%2e",
    "%2f",
    "%00",
    "%2d",
    "[",
    "]",
    "?",
    "#",
    "\\",
    " ",
    "\n",
    "\t",
    "\0",
    "\u{1b}",
    "\u{202e}",
    "\u{ad}",
    "\u{3002}",
    "\u{ff0f}",
    "\u{ff20}",
    "\u{ff0d}",
    "\u{212a}",
    "h\u{ff54}tps",
    "::",
    "ext::",
    "C:",
    ".git",
    "~",
    "localhost",
    "127.1",
    "0x7f",
    "xn--",
    "xn--a",
    ":22",
    ":443",
    "file",
    "ssh",
    "s3_cret:",
    "s3_cret@",
    ":s3_cret@",
    "$",
    "&",
    ";",
    "|",
    "`",
    "'",
    "\"",
    "*",
];

fn parse(text: &str) -> Option<RepositoryUrl> {
    RepositoryUrl::parse(text, &Protocols::all()).ok()
}

#[test]
fn a_url_is_written_as_it_would_be_read_again_and_never_as_an_option() {
    check!()
        .with_generator(text(SEEDS, WORDS))
        .for_each(|given: &String| {
            let url = match RepositoryUrl::parse(given, &Protocols::all()) {
                Ok(url) => url,
                Err(error) => {
                    let told = error.to_string();
                    assert!(
                        !told.contains("s3_cret") && !told.contains(char::is_control),
                        "{told:?}"
                    );
                    return;
                }
            };
            let written = url.to_string();
            assert!(
                !written.starts_with('-') && !written.contains(char::is_control),
                "{written:?}"
            );
            assert!(!written.contains(char::is_whitespace), "{written:?}");
            let again =
                parse(&written).unwrap_or_else(|| panic!("{given:?} is written as {written:?}"));
            assert_eq!((&again, again.to_string()), (&url, written.clone()));
            assert_eq!(again.key(), url.key());
            assert_eq!(
                url.protocol() == Protocol::File,
                url.host_and_port().is_none()
            );
            assert!(
                !url.authority().starts_with('-') && !url.authority().contains('@'),
                "{written:?}"
            );
            if let Some((_, rest)) = written.split_once("://") {
                let authority = rest.split('/').next().unwrap_or_default();
                let user = authority.rsplit_once('@').map(|(user, _)| user);
                assert!(
                    user.is_none_or(|user| url.protocol() == Protocol::Ssh && !user.contains(':')),
                    "{written:?}"
                );
            }
        });
}

/// What we check is what curl and our own client would contact.
#[test]
fn the_host_is_the_one_that_others_read_in_what_is_written() {
    check!()
        .with_generator(text(SEEDS, WORDS))
        .for_each(|given: &String| {
            let Some(url) = parse(given) else { return };
            let written = url.to_string();
            let Some((host, port)) = url.host_and_port().filter(|_| written.contains("://")) else {
                return;
            };
            let standard =
                Url::parse(&written).unwrap_or_else(|error| panic!("{written:?}: {error}"));
            let found = standard
                .host_str()
                .unwrap_or_default()
                .trim_matches(['[', ']']);
            assert_eq!(found, host, "{written:?}");
            let default = url.protocol().default_port();
            assert_eq!(standard.port().or(default), Some(port), "{written:?}");
            assert_eq!(standard.password(), None, "{written:?}");
        });
}

#[test]
fn every_way_to_write_one_address_has_one_key() {
    check!()
        .with_generator(text(SEEDS, WORDS))
        .for_each(|given: &String| {
            let Some(url) = parse(given) else { return };
            let (key, written) = (url.key(), url.to_string());
            let mut others = vec![format!("{written}/")];
            if written.trim_end_matches('/').strip_suffix(".git").is_none() {
                others.push(format!("{}.git", written.trim_end_matches('/')));
                others.push(format!("{}.git/", written.trim_end_matches('/')));
            }
            if let Some((scheme, rest)) = written.split_once("://") {
                others.push(format!("{}://{rest}", scheme.to_uppercase()));
            }
            if url.protocol() == Protocol::Https
                && url.authority() == url.host_and_port().unwrap().0
            {
                let path = written.splitn(4, '/').nth(3).unwrap();
                let host = url.authority();
                others.push(format!("ssh://git@{host}/{path}"));
                if !path.contains("//") && !path.starts_with('/') {
                    others.push(format!("git@{host}:{path}"));
                    others.push(format!("git@{host}:/{path}"));
                }
                others.push(format!("http://{host}:80/{path}"));
            }
            let is_short = !written.contains("://");
            for other in others
                .iter()
                .filter(|other| other.len() <= 2048 && !(is_short && other.contains("://")))
            {
                let same = parse(other).unwrap_or_else(|| panic!("{other:?} is refused"));
                assert_eq!(same.key(), key, "{other:?} and {written:?}");
            }
        });
}
