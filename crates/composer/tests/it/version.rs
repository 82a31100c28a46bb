//! Versions, as people write them and as Composer orders them.

use kapelle_composer::Version;

#[test]
fn a_version_is_padded_to_four_numbers() {
    assert_eq!(Version::parse("v1.2-b2").unwrap().as_str(), "1.2.0.0-beta2");
}
