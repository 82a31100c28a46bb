//! Queries as PHP reads them: its own answers.

use packagist_api::{InvalidQuery, Key, Node, Query};
use serde_json::Value;

fn canonical(query: &str) -> String {
    Query::parse(query).unwrap().canonical()
}

#[test]
fn queries_have_the_canonical_form_that_the_client_signs() {
    let vectors: Value = serde_json::from_str(include_str!("../data/signatures.json")).unwrap();
    let vectors = vectors["query_canonicalisation_vectors"]
        .as_array()
        .unwrap();
    assert_eq!(vectors.len(), 46);
    for vector in vectors {
        let [query, expected] = ["query", "canonical"].map(|key| vector[key].as_str().unwrap());
        assert_eq!(canonical(query), expected, "{query}");
    }
}

#[test]
fn random_queries_come_out_as_from_php() {
    let pairs: Vec<(String, String)> =
        serde_json::from_str(include_str!("../data/php-queries.json")).unwrap();
    assert!(pairs.len() > 1_000);
    for (query, expected) in pairs {
        assert_eq!(canonical(&query), expected, "{query}");
    }
}

#[test]
fn parameters_are_read_as_they_are_signed() {
    let query = Query::parse("limit=1&limit=%35&a[]=x&a.b=y&bad=%ff&%20page=2").unwrap();
    assert_eq!(query.get("limit"), Some("5"));
    assert_eq!(
        (query.get("a"), query.get("bad"), query.get("none")),
        (None, None, None)
    );
    assert_eq!(
        (query.get("a_b"), query.get("page")),
        (Some("y"), Some("2"))
    );
    let names: Vec<_> = query.iter().map(|(key, _)| key.clone()).collect();
    let expected = ["limit", "a", "a_b", "bad", "page"].map(|name| Key::Name(name.into()));
    assert_eq!(names, expected);
    let Some((_, Node::Array(entries))) = query.iter().nth(1) else {
        panic!("{query:?}");
    };
    let entries: Vec<_> = entries.iter().collect();
    assert_eq!(entries, [(&Key::Index(0), &Node::Value(b"x".to_vec()))]);
}

#[test]
fn what_php_would_leave_out_is_refused_as_the_signature_would_not_cover_it() {
    let many = vec!["a=1"; 1_000].join("&");
    assert_eq!(canonical(&many), "a=1");
    assert_eq!(
        Query::parse(&format!("{many}&b=1")),
        Err(InvalidQuery::TooMany)
    );
    let deep = format!("a{}=1", "[b]".repeat(64));
    assert_eq!(canonical(&deep), format!("a{}=1", "%5Bb%5D".repeat(64)));
    assert_eq!(
        Query::parse(&deep.replace('=', "[b]=")),
        Err(InvalidQuery::TooDeep)
    );
    assert_eq!(canonical("[a]=1&=2&%00x=3"), "");
}
