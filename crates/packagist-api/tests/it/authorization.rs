//! The header, as tolerant as the service is.

use packagist_api::{Authorization, InvalidAuthorization, SignatureVersion};

fn signed(header: &str) -> (String, String, String, SignatureVersion, String) {
    match Authorization::parse(header) {
        Ok(Authorization::Signed(it)) => {
            (it.key, it.timestamp, it.cnonce, it.version, it.signature)
        }
        other => panic!("{header}: {other:?}"),
    }
}

#[test]
fn parts_may_come_in_any_order_between_commas_or_white_space() {
    let expected = (
        "k".to_owned(),
        "15".to_owned(),
        "a+b/c==".to_owned(),
        SignatureVersion::V2,
        "A+/=".to_owned(),
    );
    for header in [
        "PACKAGIST-HMAC-SHA256 Key=k, Timestamp=15, Cnonce=a+b/c==, Version=2, Signature=A+/=",
        "PACKAGIST-HMAC-SHA256 Signature=A+/= Cnonce=a+b/c== Key=k Version=2 Timestamp=15",
        "  packagist-hmac-sha256\tKey=k,Timestamp=15,Cnonce=a+b/c==,Version=2,Other=x,Signature=A+/=,  ",
    ] {
        assert_eq!(signed(header), expected, "{header}");
    }
    let old = "PACKAGIST-HMAC-SHA256 Key=k, Timestamp=15, Cnonce=n, Signature=s";
    assert_eq!(signed(old).3, SignatureVersion::V1);
    let token = Authorization::parse("PACKAGIST-TOKEN packagist_ack_1");
    assert_eq!(token, Ok(Authorization::Key("packagist_ack_1".to_owned())));
}

#[test]
fn what_is_missing_or_wrong_is_named() {
    let long = format!("PACKAGIST-HMAC-SHA256 Key={}", "k".repeat(300));
    for (header, error) in [
        ("", InvalidAuthorization::NotOurs),
        ("Basic dG9rZW46eA==", InvalidAuthorization::NotOurs),
        ("PACKAGIST-TOKEN", InvalidAuthorization::NotOurs),
        ("PACKAGIST-TOKEN a b", InvalidAuthorization::NotOurs),
        (
            "PACKAGIST-HMAC-SHA256 Timestamp=1",
            InvalidAuthorization::NotOurs,
        ),
        (
            "PACKAGIST-HMAC-SHA256 Key=, Timestamp=1",
            InvalidAuthorization::NotOurs,
        ),
        (
            "PACKAGIST-HMAC-SHA256 Key=k, Timestamp=1, Cnonce=n",
            InvalidAuthorization::NoSignature,
        ),
        (
            "PACKAGIST-HMAC-SHA256 Key=k, Cnonce=n, Signature=s",
            InvalidAuthorization::NoTimestamp,
        ),
        (
            "PACKAGIST-HMAC-SHA256 Key=k, Timestamp=+1, Cnonce=n, Signature=s",
            InvalidAuthorization::NoTimestamp,
        ),
        (
            "PACKAGIST-HMAC-SHA256 Key=k, Timestamp=1, Signature=s",
            InvalidAuthorization::NoCnonce,
        ),
        (
            "PACKAGIST-HMAC-SHA256 Key=k, Key=l",
            InvalidAuthorization::Malformed,
        ),
        ("PACKAGIST-HMAC-SHA256 Key", InvalidAuthorization::Malformed),
        (&long, InvalidAuthorization::Malformed),
        (
            "PACKAGIST-HMAC-SHA256 Key=k, Timestamp=1, Cnonce=n, Version=3, Signature=s",
            InvalidAuthorization::Version,
        ),
    ] {
        assert_eq!(Authorization::parse(header), Err(error), "{header}");
    }
}
