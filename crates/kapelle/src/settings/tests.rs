//! The settings as operators write them, well and badly.

use std::ffi::OsString;

use super::*;

fn load_text(text: &str, variables: &[(&str, &str)]) -> Result<Loaded, Vec<String>> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("kapelle.toml");
    std::fs::write(&file, text).unwrap();
    let flags = Flags {
        data: Some(folder.path().into()),
        ..Flags::default()
    };
    let variables = variables
        .iter()
        .map(|(name, value)| (OsString::from(name), OsString::from(value)));
    load_from(flags, variables).map_err(|error| {
        let folder = format!("{}/", folder.path().display());
        error
            .faults
            .iter()
            .map(|fault| fault.replace(&folder, ""))
            .collect()
    })
}

#[rstest::rstest]
#[case::key(
    "[server]\nlistn = 1",
    "kapelle.toml:2: server.listn is not a setting; did you mean server.listen?"
)]
#[case::strange_key(
    "[jobs]\nbanana = 1",
    "kapelle.toml:2: jobs.banana is not a setting; jobs has slots, lease"
)]
#[case::section(
    "[servr]\n",
    "kapelle.toml:1: servr is not a section; did you mean server?"
)]
#[case::no_section(
    "server = 1",
    "kapelle.toml:1: server is a section: write [server] above its settings"
)]
#[case::not_toml(
    "[server\n",
    "kapelle.toml:1: this is not TOML: unclosed table, expected `]`"
)]
#[case::address(
    "\n[server]\nlisten = \"localhost\"",
    "kapelle.toml:3: server.listen: \"localhost\" is not an address with a port, such as 127.0.0.1:8080"
)]
#[case::number(
    "[jobs]\nslots = 0",
    "kapelle.toml:2: jobs.slots: 0 is not a whole number from 1"
)]
#[case::kind(
    "[jobs]\nslots = \"four\"",
    "kapelle.toml:2: jobs.slots: \"four\" is not a whole number from 1"
)]
#[case::item(
    "[network]\nallow = [\"10.0.0.0/8\", \"10.0.0.0/99\"]",
    "kapelle.toml:2: network.allow: \"10.0.0.0/99\" is not an address range, such as 10.0.0.0/8"
)]
#[case::list(
    "[network]\nallow = 4",
    "kapelle.toml:2: network.allow: 4 is not a list, each item an address range, such as 10.0.0.0/8"
)]
#[case::protocol(
    "[vcs]\nprotocols = [\"https\", \"ftp\"]",
    "kapelle.toml:2: vcs.protocols: \"ftp\" is not one of https, ssh, http, git and file"
)]
#[case::protocols(
    "[vcs]\nprotocols = []",
    "kapelle.toml:2: vcs.protocols: no protocol is left: write a list of https, ssh, http, git and file"
)]
#[case::time(
    "[network]\ntotal_timeout = \"soon\"",
    "kapelle.toml:2: network.total_timeout: \"soon\" is not a time, such as 30s, 10m or 12h"
)]
#[case::size(
    "[limits]\npacked = \"1 MB\"",
    "kapelle.toml:2: limits.packed: \"1 MB\" is not a size, such as 512 MiB"
)]
#[case::reserve(
    "[limits]\nfree_disk = \"100%\"",
    "kapelle.toml:2: limits.free_disk: \"100%\" is not a part or a size, such as 5% or 2 GiB"
)]
#[case::url(
    "[server]\npublic_url = \"packages.example.com\"",
    "kapelle.toml:2: server.public_url: \"packages.example.com\" is not an http or https URL without user, query and fragment, such as https://packages.example.com/"
)]
#[case::format(
    "[log]\nformat = \"xml\"",
    "kapelle.toml:2: log.format: \"xml\" is not text or json"
)]
#[case::level(
    "[log]\nlevel = \"a=b=c\"",
    "kapelle.toml:2: log.level: \"a=b=c\" is not a level, such as info or info,kapelle_vcs=debug"
)]
#[case::engine(
    "[database]\nurl = \"mysql://me:secret@host/x\"",
    "kapelle.toml:2: database.url: the URL begins with neither sqlite: nor postgres://"
)]
#[case::half(
    "[server]\ntls_key = \"key.pem\"",
    "kapelle.toml:2: server.tls_key: server.tls_certificate is missing"
)]
#[case::secret(
    "[metrics]\ntoken = 5",
    "kapelle.toml:2: metrics.token: the value is not a text"
)]
fn a_mistake_in_the_file_is_named_with_its_line(#[case] text: &str, #[case] expected: &str) {
    assert_eq!(load_text(text, &[]).unwrap_err(), [expected]);
}

#[rstest::rstest]
#[case::field(
    "KAPELLE_SERVER__LISTN",
    "x",
    "KAPELLE_SERVER__LISTN is not a setting; did you mean KAPELLE_SERVER__LISTEN?"
)]
#[case::nonsense(
    "KAPELLE_A__B",
    "x",
    "KAPELLE_A__B is not a setting; `kapelle config show` lists them all"
)]
#[case::value(
    "KAPELLE_NETWORK__ALLOW",
    "10.0.0.0/8,ten",
    "KAPELLE_NETWORK__ALLOW: network.allow: \"ten\" is not an address range, such as 10.0.0.0/8"
)]
#[case::flag(
    "KAPELLE_SERVER__TLS_SELF_SIGNED",
    "yes",
    "KAPELLE_SERVER__TLS_SELF_SIGNED: server.tls_self_signed: \"yes\" is not true or false"
)]
fn a_mistake_in_the_environment_is_named(
    #[case] name: &str,
    #[case] value: &str,
    #[case] expected: &str,
) {
    assert_eq!(load_text("", &[(name, value)]).unwrap_err(), [expected]);
}

#[test]
fn every_mistake_is_told_at_once() {
    let faults = load_text("[jobs]\nslots = 0\n[lgo]\n", &[("KAPELLE_X__Y", "1")]).unwrap_err();
    assert_eq!(faults.len(), 3, "{faults:?}");
}

#[test]
fn the_environment_wins_over_the_file_and_flags_win_over_both() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(
        folder.path().join("kapelle.toml"),
        "[jobs]\nslots = 2\n[log]\nformat = \"json\"\n",
    )
    .unwrap();
    let flags = Flags {
        data: Some(folder.path().into()),
        settings: vec![("server", "listen", "--listen", "127.0.0.1:1".to_owned())],
        ..Flags::default()
    };
    let variables = [
        ("KAPELLE_JOBS__SLOTS", "3"),
        ("KAPELLE_SERVER__LISTEN", "127.0.0.1:2"),
        ("KAPELLE_OTHER", "x"),
    ];
    let variables = variables.map(|(name, value)| (OsString::from(name), OsString::from(value)));
    let loaded = load_from(flags, variables).unwrap();
    assert_eq!(loaded.settings.jobs.slots, 3);
    assert_eq!(loaded.settings.server.listen.port(), 1);
    assert_eq!(loaded.settings.log.format, LogFormat::Json);
    assert_eq!(
        loaded.origin("jobs", "slots").to_string(),
        "KAPELLE_JOBS__SLOTS"
    );
    assert_eq!(loaded.origin("server", "listen").to_string(), "--listen");
    assert!(
        loaded
            .origin("log", "format")
            .to_string()
            .ends_with("kapelle.toml:4")
    );
    assert_eq!(loaded.origin("blobs", "url"), Origin::Default);
}

#[test]
fn database_url_is_used_when_nothing_else_names_a_database() {
    let url = |loaded: &Loaded| {
        loaded
            .settings
            .database
            .url
            .as_ref()
            .map(|url| url.expose().to_owned())
    };
    let alone = load_text("", &[("DATABASE_URL", "postgres://a/b")]).unwrap();
    assert_eq!(url(&alone).as_deref(), Some("postgres://a/b"));
    let own = [
        ("DATABASE_URL", "mysql://a/b"),
        ("KAPELLE_DATABASE__URL", "sqlite:x"),
    ];
    assert_eq!(
        url(&load_text("", &own).unwrap()).as_deref(),
        Some("sqlite:x")
    );
    let file = load_text("[database]\nurl = \"sqlite:y\"", &own[..1]).unwrap();
    assert_eq!(url(&file).as_deref(), Some("sqlite:y"));
}

#[test]
fn passwords_are_not_shown() {
    let loaded = load_text(
        "[database]\nurl = \"postgres://me:hunter2@db/x?password=hunter2\"\n[secrets]\nkey = \"hunter2\"\n",
        &[],
    )
    .unwrap();
    let shown: Vec<String> = SECTIONS
        .iter()
        .flat_map(|section| section.fields)
        .map(|field| (field.show)(&loaded.settings).to_string())
        .collect();
    assert!(!shown.join(" ").contains("hunter2"), "{shown:?}");
    assert!(
        shown.contains(&"\"postgres://me:***@db/x?***\"".to_owned()),
        "{shown:?}"
    );
    assert!(!format!("{:?}", loaded.settings).contains("hunter2"));
}

#[test]
fn an_empty_variable_takes_a_value_of_the_file_back() {
    let text =
        "[network]\nallow = [\"10.0.0.0/8\"]\n[server]\npublic_url = \"https://a.example/\"\n";
    let empty = [
        ("KAPELLE_NETWORK__ALLOW", ""),
        ("KAPELLE_SERVER__PUBLIC_URL", ""),
    ];
    let loaded = load_text(text, &empty).unwrap();
    assert!(loaded.settings.network.allow.is_empty());
    assert_eq!(loaded.settings.server.public_url, None);
}

#[test]
fn the_manual_is_made_from_the_doc_comments() {
    let manual = include_str!("../../../../docs/configuration.md");
    assert!(
        manual == markdown(),
        "run: kapelle config reference > docs/configuration.md"
    );
}
