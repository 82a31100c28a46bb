//! Paths of the API as its routes have them: no slash at the end, and a package's name as one segment.
//!
//! Clients send both forms of each path and follow redirects in ways that lose their bodies, so there are none. A name has
//! a slash of its own; an id has not.

use axum::extract::Request;
use axum::http::Uri;

/// The address as it was sent, which is what was signed.
#[derive(Clone, Debug)]
pub(crate) struct Sent(pub(crate) Uri);

/// What follows a package in a path, and is no name.
const PARTS: [&str; 5] = [
    "artifacts",
    "customers",
    "dependents",
    "security-issues",
    "security-monitoring",
];

/// Gives a request to the API the path by which it is routed.
pub(crate) fn route<B>(request: &mut Request<B>) {
    let sent = request.uri().clone();
    if !sent.path().starts_with("/api/") {
        return;
    }
    let mut target = routed(sent.path());
    if let Some(query) = sent.query() {
        target = format!("{target}?{query}");
    }
    // What was a path and only lost its last slash, or had one escaped, still is one; and the rest stays.
    let mut parts = sent.clone().into_parts();
    if let Ok(target) = target.parse() {
        parts.path_and_query = Some(target);
    }
    if let Ok(uri) = Uri::from_parts(parts) {
        *request.uri_mut() = uri;
    }
    request.extensions_mut().insert(Sent(sent));
}

fn routed(path: &str) -> String {
    let path = path.strip_suffix('/').unwrap_or(path);
    let segments: Vec<&str> = path.split('/').skip(1).collect();
    let mut target = String::with_capacity(path.len() + 2);
    let mut at = 0;
    while let Some(segment) = segments.get(at) {
        target.push('/');
        target.push_str(segment);
        at += 1;
        // Kinds of things and what they are called take turns.
        let is_kind = at % 2 == 0;
        if let ("packages", true, [first, second, ..]) = (*segment, is_kind, &segments[at..])
            && is_name(first, second)
        {
            target.extend(["/", first, "%2F", second]);
            at += 2;
        }
    }
    target
}

/// Whether two segments are a package's name, and not an id, or a name in one segment, with what follows it.
fn is_name(first: &str, second: &str) -> bool {
    let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let is_escaped = first.contains("%2F") || first.contains("%2f");
    let is_artifact = first == "artifacts" && is_number(second);
    let is_id = first.is_empty() || (is_number(first) && PARTS.contains(&second));
    !is_id && !is_escaped && !is_artifact && !second.is_empty()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::routed;

    #[rstest]
    #[case("/api/packages/", "/api/packages")]
    #[case("/api/packages", "/api/packages")]
    #[case("/api/packages/acme/lib/", "/api/packages/acme%2Flib")]
    #[case("/api/packages/acme/customers/", "/api/packages/acme%2Fcustomers")]
    #[case(
        "/api/packages/acme/lib/customers",
        "/api/packages/acme%2Flib/customers"
    )]
    #[case(
        "/api/packages/acme%2flib/customers",
        "/api/packages/acme%2flib/customers"
    )]
    #[case("/api/packages/12/customers/", "/api/packages/12/customers")]
    #[case("/api/packages/artifacts/7/", "/api/packages/artifacts/7")]
    #[case("/api/packages/artifacts/lib/", "/api/packages/artifacts%2Flib")]
    #[case("/api/packages//x", "/api/packages//x")]
    #[case(
        "/api/customers/beta/packages/acme/lib/",
        "/api/customers/beta/packages/acme%2Flib"
    )]
    #[case("/api/packages/1234/lib/", "/api/packages/1234%2Flib")]
    #[case(
        "/api/customers/packages/packages/acme/lib/",
        "/api/customers/packages/packages/acme%2Flib"
    )]
    #[case(
        "/api/suborganizations/packages/teams/5/",
        "/api/suborganizations/packages/teams/5"
    )]
    #[case(
        "/api/suborganizations/a/mirrored-repositories/1/packages/acme/lib",
        "/api/suborganizations/a/mirrored-repositories/1/packages/acme%2Flib"
    )]
    #[case("/api/", "/api")]
    fn both_forms_of_a_path_have_one_route(#[case] sent: &str, #[case] expected: &str) {
        assert_eq!(routed(sent), expected);
    }
}
