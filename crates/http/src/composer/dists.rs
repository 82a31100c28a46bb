//! `dists/{vendor}/{name}/{reference}.zip` (or `.tar` and its compressed forms): the archive of a published commit, under an address that stays for ever.

use std::ops::Range;

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::Response;
use futures::TryStreamExt;
use kapelle_composer::PackageName;
use kapelle_registry::{Registry, dist};
use kapelle_storage::db::dists::Dist;

use super::not_modified::not_modified;
use super::range::{Wanted, wanted};
use crate::error::ApiError;
use crate::extract::{Organization, Segments, plain};
use crate::state::AppState;

/// Nobody may have such bytes for less than a year without asking again; they never change.
const CACHE: HeaderValue = HeaderValue::from_static("private, max-age=31536000, immutable");

/// What archives are called, and what they are.
const TYPES: [(&str, &str); 4] = [
    ("zip", "application/zip"),
    ("tar", "application/x-tar"),
    ("tar.gz", "application/gzip"),
    ("tar.bz2", "application/x-bzip2"),
];

/// The archive, whole or in part.
pub(crate) async fn show(
    State(state): State<AppState>,
    organization: Result<Organization, ApiError>,
    Segments((_, vendor, project, file)): Segments<(String, String, String, String)>,
    method: Method,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let no_access = "there is no such repository, or the token that was sent does not open it";
    let Organization { actor, row } = organization.map_err(|error| error.or_tell(no_access))?;
    let unknown = || {
        let asked = [&vendor, &project, &file].map(|segment| plain(segment));
        let [vendor, project, file] = asked;
        format!("{vendor}/{project} never had a version with the dist {file} here")
    };
    let (name, reference, extension) =
        named(&vendor, &project, &file).ok_or_else(|| ApiError::Missing(unknown()))?;
    let found = dist::find(state.registry(), &actor, &row.slug, &name, reference).await;
    let dist = found.map_err(|error| ApiError::from(error).or_tell(unknown()))?;
    if dist.extension != extension {
        return Err(ApiError::Missing(unknown()));
    }
    respond(state.registry(), &dist, &name, &method, &headers).await
}

/// Package, commit and kind of archive, if the address can be one of ours.
fn named<'a>(
    vendor: &str,
    project: &str,
    file: &'a str,
) -> Option<(PackageName, &'a str, &'a str)> {
    let (reference, extension) = file.split_once('.')?;
    if !TYPES.iter().any(|(known, _)| *known == extension) {
        return None;
    }
    let is_commit = matches!(reference.len(), 40 | 64)
        && reference
            .bytes()
            .all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
    let name = PackageName::lookup(&format!("{vendor}/{project}")).ok()?;
    is_commit.then_some((name, reference, extension))
}

async fn respond(
    registry: &Registry,
    dist: &Dist,
    name: &PackageName,
    method: &Method,
    headers: &HeaderMap,
) -> Result<Response, ApiError> {
    let etag = format!("\"{}\"", hex::encode(&dist.sha256));
    let known = headers.get(header::IF_NONE_MATCH);
    let mut response = if known.is_some_and(|known| known.as_bytes() == etag.as_bytes()) {
        not_modified()
    } else if method == Method::HEAD {
        whole_or_part(dist, name, Wanted::Whole, async |_| Ok(Body::empty())).await?
    } else {
        let wanted = wanted(headers, &etag, size(dist)?);
        whole_or_part(dist, name, wanted, |bytes| body(registry, dist, bytes)).await?
    };
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, CACHE);
    headers.insert(header::VARY, HeaderValue::from_static("Authorization"));
    headers.insert(header::ETAG, value(&etag)?);
    Ok(response)
}

/// 200 or 206 with the headers that tell how much of the archive comes.
async fn whole_or_part(
    dist: &Dist,
    name: &PackageName,
    wanted: Wanted,
    body: impl AsyncFnOnce(Range<u64>) -> Result<Body, ApiError>,
) -> Result<Response, ApiError> {
    let size = size(dist)?;
    let (status, bytes) = match wanted {
        Wanted::Whole => (StatusCode::OK, 0..size),
        Wanted::Part { start, end } => (StatusCode::PARTIAL_CONTENT, start..end),
        Wanted::Nothing => return Err(ApiError::Range { size }),
    };
    let mut response = Response::new(body(bytes.clone()).await?);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    if status == StatusCode::PARTIAL_CONTENT {
        let range = format!("bytes {}-{}/{size}", bytes.start, bytes.end - 1);
        headers.insert(header::CONTENT_RANGE, value(&range)?);
    }
    headers.insert(header::CONTENT_LENGTH, (bytes.end - bytes.start).into());
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static(media_type(&dist.extension)),
    );
    headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    headers.insert(
        header::CONTENT_DISPOSITION,
        value(&disposition(name, dist))?,
    );
    Ok(response)
}

fn size(dist: &Dist) -> Result<u64, ApiError> {
    u64::try_from(dist.size).map_err(|error| ApiError::Internal(error.to_string()))
}

fn value(text: &str) -> Result<HeaderValue, ApiError> {
    HeaderValue::from_str(text).map_err(|error| ApiError::Internal(error.to_string()))
}

/// The stream waits for the client: nothing is read ahead of what it takes.
async fn body(registry: &Registry, dist: &Dist, bytes: Range<u64>) -> Result<Body, ApiError> {
    let reference = dist.reference.clone();
    let damaged =
        move |error: &_| tracing::error!(%error, reference, "a dist broke off while it was sent");
    let stream = dist::read(registry, dist, bytes).await?;
    Ok(Body::from_stream(stream.inspect_err(damaged)))
}

/// A file name for people who open the address in a browser; names and commits need no quoting.
fn disposition(name: &PackageName, dist: &Dist) -> String {
    let short = dist.reference.get(..12).unwrap_or(&dist.reference);
    format!(
        "attachment; filename=\"{}-{}-{short}.{}\"",
        name.vendor(),
        name.project(),
        dist.extension
    )
}

fn media_type(extension: &str) -> &'static str {
    let known = TYPES.iter().find(|(known, _)| *known == extension);
    known.map_or("application/octet-stream", |(_, media_type)| media_type)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_commits_of_packages_are_looked_up() {
        let commit = "0123456789abcdef0123456789abcdef01234567";
        let file = format!("{commit}.zip");
        let (name, reference, extension) = named("Acme", "lib", &file).unwrap();
        assert_eq!(
            (name.as_str(), reference, extension),
            ("acme/lib", commit, "zip")
        );
        let file = format!("{commit}.tar.gz");
        assert_eq!(named("acme", "lib", &file).unwrap().2, "tar.gz");
        for file in [
            "main.zip",
            &format!("{commit}.exe"),
            "../../x.zip",
            &format!("{}.zip", commit.to_uppercase()),
        ] {
            assert!(named("acme", "lib", file).is_none(), "{file}");
        }
        assert!(named("..", "lib", &format!("{commit}.zip")).is_none());
    }
}
