//! Signatures as the official client makes them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use packagist_api::{Authorization, Query, Request, Secret, Signature, SignatureVersion, Signing};
use proptest::prelude::*;
use serde_json::Value;

fn claimed(inputs: &Value, version: SignatureVersion) -> Signature {
    Signature {
        key: inputs["key"].as_str().unwrap().to_owned(),
        timestamp: inputs["timestamp"].to_string(),
        cnonce: inputs["cnonce"].as_str().unwrap().to_owned(),
        version,
        signature: String::new(),
    }
}

fn begin(secret: &str, method: &str, host: &str, target: &str, claimed: &Signature) -> Signing {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let query = Query::parse(query).unwrap();
    let request = Request {
        method,
        host,
        path,
        query: &query,
    };
    Signing::begin(&Secret::new(secret), request, claimed)
}

#[test]
fn requests_get_the_signatures_of_both_versions_of_the_client() {
    let file: Value = serde_json::from_str(include_str!("../data/signatures.json")).unwrap();
    let vectors = file["vectors"].as_array().unwrap();
    assert_eq!(vectors.len(), 28);
    for vector in vectors {
        let text = |key: &str| vector[key].as_str().unwrap();
        let body = STANDARD.decode(text("body_b64")).unwrap();
        let target = format!("{}?{}", text("path"), text("raw_query"));
        for (version, expected) in [
            (SignatureVersion::V2, text("signature")),
            (SignatureVersion::V1, text("v1_signature")),
        ] {
            let claimed = claimed(&file["test_inputs"], version);
            let mut signing = begin("secret", text("method"), text("host"), &target, &claimed);
            signing.body(&body);
            assert_eq!(signing.sign(), expected, "{} {version:?}", text("name"));
        }
    }
}

#[test]
fn requests_of_the_real_client_are_accepted_and_changed_ones_are_not() {
    let file: Value = serde_json::from_str(include_str!("../data/signed-requests.json")).unwrap();
    let requests = file["requests"].as_array().unwrap();
    for request in requests {
        let text = |key: &str| request[key].as_str().unwrap();
        let header = text("raw_head")
            .lines()
            .find_map(|line| line.strip_prefix("Authorization: "))
            .unwrap();
        let Ok(Authorization::Signed(signature)) = Authorization::parse(header) else {
            panic!("{header}");
        };
        assert_eq!(signature.to_string(), header);
        let body = STANDARD.decode(text("body_b64")).unwrap();
        let accepts = |secret: &str, body: &[u8], claimed: &str| {
            let mut signing = begin(
                secret,
                text("method"),
                "127.0.0.1",
                text("target"),
                &signature,
            );
            signing.body(body);
            signing.is(claimed)
        };
        assert!(
            accepts(text("secret"), &body, &signature.signature),
            "{header}"
        );
        assert!(!accepts("another", &body, &signature.signature));
        assert!(!accepts(
            text("secret"),
            &[&body[..], b"x"].concat(),
            &signature.signature
        ));
        for claimed in ["", "no Base64!", "AAAA", &signature.signature[..40]] {
            assert!(!accepts(text("secret"), &body, claimed), "{claimed}");
        }
    }
}

proptest! {
    #[test]
    fn a_body_may_come_in_any_pieces(pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..3_000), 0..6)) {
        let signature = Signature {
            key: "k".to_owned(),
            timestamp: "1".to_owned(),
            cnonce: "n".to_owned(),
            version: SignatureVersion::V2,
            signature: String::new(),
        };
        let signed = |pieces: &[Vec<u8>]| {
            let mut signing = begin("secret", "POST", "h", "/api/x", &signature);
            for piece in pieces {
                signing.body(piece);
            }
            signing.sign()
        };
        prop_assert_eq!(signed(&pieces), signed(&[pieces.concat()]));
    }
}

#[test]
fn what_php_takes_for_nothing_is_no_body() {
    let signature = claimed(
        &serde_json::json!({ "key": "k", "timestamp": 1, "cnonce": "n" }),
        SignatureVersion::V2,
    );
    let signed = |pieces: &[&str]| {
        let mut signing = begin("secret", "POST", "h", "/api/x", &signature);
        for piece in pieces {
            signing.body(piece.as_bytes());
        }
        signing.sign()
    };
    assert_eq!(signed(&["0"]), signed(&[]));
    assert_eq!(signed(&["", "0", ""]), signed(&[]));
    assert_eq!(signed(&["0", "0"]), signed(&["00"]));
    assert_ne!(signed(&["00"]), signed(&[]));
    assert_ne!(signed(&["0", "1"]), signed(&["1"]));
}

#[test]
fn a_body_that_is_not_signed_does_not_count() {
    let signature = claimed(
        &serde_json::json!({ "key": "k", "timestamp": 1, "cnonce": "n" }),
        SignatureVersion::V2,
    );
    for (body, counts) in [("", false), ("0", false), ("00", true), ("{}", true)] {
        let mut signing = begin("secret", "PUT", "h", "/api/x", &signature);
        signing.body(body.as_bytes());
        assert_eq!(signing.has_body(), counts, "{body}");
    }
}

#[test]
fn secrets_are_not_shown() {
    assert_eq!(format!("{:?}", Secret::new("packagist_acs_x")), "Secret(…)");
}
