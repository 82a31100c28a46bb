//! Package names.

use kapelle_composer::{InvalidName, PackageName, is_platform};
use rstest::rstest;

#[rstest]
#[case::plain("acme/lib", "acme", "lib")]
#[case::digits("0/1", "0", "1")]
#[case::joined("a-b_c.d/e-f_g.h", "a-b_c.d", "e-f_g.h")]
#[case::double_hyphen("acme/a--b", "acme", "a--b")]
#[case::json_inside("acme/x.json.y", "acme", "x.json.y")]
#[case::device_inside("con1/nul-x", "con1", "nul-x")]
fn a_name_that_composer_accepts_is_accepted(
    #[case] name: &str,
    #[case] vendor: &str,
    #[case] project: &str,
) {
    let name = PackageName::parse(name).unwrap();
    assert_eq!((name.vendor(), name.project()), (vendor, project));
    assert_eq!(name.to_string(), format!("{vendor}/{project}"));
}

#[rstest]
#[case("")]
#[case("/")]
#[case("acme")]
#[case("acme/")]
#[case("/lib")]
#[case("acme/lib/x")]
#[case("a--b/lib")]
#[case("acme/a---b")]
#[case("acme/a__b")]
#[case("acme/a-_b")]
#[case("-acme/lib")]
#[case("acme-/lib")]
#[case("acme/-lib")]
#[case("acme/lib.")]
#[case(".acme/lib")]
#[case("acme/lib ")]
#[case("acme/lib\n")]
#[case("ac me/lib")]
#[case("acmé/lib")]
#[case("../lib")]
#[case("acme/..")]
#[case("acme/lib~dev")]
#[case("acme/lib%00")]
#[case("acme\\lib")]
#[case("php")]
fn a_name_of_another_shape_is_refused(#[case] name: &str) {
    let error = PackageName::parse(name).unwrap_err();
    assert!(
        matches!(error, InvalidName::Shape { .. }),
        "{name:?}: {error}"
    );
}

#[rstest]
#[case("AcmeCorp/HTTPClient", "acme-corp/http-client")]
#[case("ACME/lib", "acme/lib")]
#[case("acme/myLib", "acme/my-lib")]
#[case("acme/MyXMLReader2Go", "acme/my-xml-reader2go")]
fn upper_case_is_refused_with_composers_suggestion(#[case] name: &str, #[case] better: &str) {
    let error = PackageName::parse(name).unwrap_err();
    let expected = format!(
        "\"{name}\" is not a package name because of its upper-case letters; use \"{better}\""
    );
    assert_eq!(error.to_string(), expected);
}

#[rstest]
#[case("con/lib", "con")]
#[case("acme/nul", "nul")]
#[case("COM1/lib", "com1")]
#[case("lpt9/aux", "aux")]
fn windows_device_names_are_refused(#[case] name: &str, #[case] device: &str) {
    let error = PackageName::parse(name).unwrap_err();
    assert!(matches!(error, InvalidName::Device { part, .. } if part == device));
}

#[test]
fn a_name_that_would_look_like_a_file_is_refused() {
    let error = PackageName::parse("acme/package.json").unwrap_err();
    assert!(matches!(error, InvalidName::JsonEnding { .. }), "{error}");
}

#[test]
fn an_endless_name_is_refused_without_repeating_it_whole() {
    let error = PackageName::parse(&format!("acme/{}", "x".repeat(100_000))).unwrap_err();
    assert!(matches!(error, InvalidName::TooLong { bytes: 100_005, .. }));
    assert!(error.to_string().len() < 300);
}

#[test]
fn a_requested_name_may_be_in_any_case() {
    assert_eq!(
        PackageName::lookup("Acme/LIB").unwrap().as_str(),
        "acme/lib"
    );
    assert!(PackageName::lookup("acme").is_err());
}

#[test]
fn a_name_is_checked_when_it_is_read_from_json() {
    let name: PackageName = serde_json::from_str("\"acme/lib\"").unwrap();
    assert_eq!(serde_json::to_string(&name).unwrap(), "\"acme/lib\"");
    assert!(serde_json::from_str::<PackageName>("\"../lib\"").is_err());
}

#[test]
fn platform_names_are_told_from_packages() {
    for name in [
        "php",
        "PHP",
        "php-64bit",
        "php-ipv6",
        "php-zts",
        "php-debug",
        "hhvm",
        "ext-json",
        "ext-pdo_mysql",
        "ext-zend-opcache",
        "lib-icu",
        "composer",
        "composer-plugin-api",
        "composer-runtime-api",
    ] {
        assert!(is_platform(name), "{name}");
    }
    for name in [
        "acme/php",
        "php-foo",
        "ext-",
        "ext-a/b",
        "ext-Zend OPcache",
        "composer-foo-api",
        "lib",
    ] {
        assert!(!is_platform(name), "{name}");
    }
}
