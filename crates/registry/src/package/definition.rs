//! What a custom package is: versions that somebody wrote down, each with where its archive is.
//!
//! Source: the `package` of Composer's repositories of type `package`, one version or a list of them.

use std::collections::HashSet;
use std::sync::Arc;

use kapelle_composer::{Manifest, PackageName, Version};
use kapelle_vcs::{Protocols, RepositoryUrl};
use serde_json::{Value, json};
use sha1::{Digest, Sha1};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use url::Url;

use crate::clock::{Millis, SECOND};
use crate::limits;

/// Versions of one definition at most.
const VERSIONS: usize = 5_000;
/// Longest URL and reference, in bytes.
const TEXT: usize = 2_048;

/// All versions of a custom package.
#[derive(Debug)]
pub(crate) struct Definition {
    /// The name that all of them have.
    pub(crate) name: PackageName,
    /// In the order in which they were written.
    pub(crate) versions: Vec<Defined>,
}

/// One of them.
#[derive(Debug)]
pub(crate) struct Defined {
    /// As it was written.
    pub(crate) version: String,
    /// As Composer compares it.
    pub(crate) normalized: String,
    /// All that was written, as JSON.
    pub(crate) manifest: Arc<str>,
    /// Its `time`, where it has a readable one.
    pub(crate) released_at: Option<Millis>,
    /// Where its archive is; a metapackage has none.
    pub(crate) dist: Option<RemoteDist>,
}

/// An archive somewhere else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RemoteDist {
    /// `http` or `https`.
    pub(crate) url: Url,
    /// `zip` or `tar`.
    pub(crate) kind: String,
    /// What its SHA-1 has to be, lower-case hexadecimal.
    pub(crate) shasum: Option<String>,
    /// By which its bytes are known here: another address, or another checksum, has another one.
    pub(crate) reference: String,
}

impl Definition {
    /// Reads and judges a definition; the error is a sentence. `largest`: bytes of one version.
    pub(crate) fn parse(json: &Value, protocols: &Protocols, largest: u64) -> Result<Self, String> {
        // As a repository of the type `package` has it around them.
        let json = match json.get("package") {
            Some(package) if json.get("name").is_none() => package,
            _ => json,
        };
        let written: Vec<&Value> = match json {
            Value::Array(list) => list.iter().collect(),
            one => vec![one],
        };
        if written.is_empty() || written.len() > VERSIONS {
            return Err(format!(
                "a definition has from 1 to {VERSIONS} versions, and this one has {}",
                written.len()
            ));
        }
        let mut name: Option<PackageName> = None;
        let mut versions = Vec::with_capacity(written.len());
        let mut seen = HashSet::new();
        for (index, version) in written.into_iter().enumerate() {
            let judged = judge(version, protocols, largest);
            let (own, version) = judged
                .map_err(|error| format!("version {} of the definition: {error}", index + 1))?;
            if name.as_ref().is_some_and(|name| *name != own) {
                return Err(format!(
                    "all versions of a definition have one name, and version {} is of {own}",
                    index + 1
                ));
            }
            if !seen.insert(version.normalized.clone()) {
                return Err(format!("version {} is defined twice", version.version));
            }
            name = Some(own);
            versions.push(version);
        }
        let name = name.ok_or_else(|| "a definition has at least one version".to_owned())?;
        Ok(Self { name, versions })
    }
}

fn judge(
    written: &Value,
    protocols: &Protocols,
    largest: u64,
) -> Result<(PackageName, Defined), String> {
    if !written.is_object() {
        return Err("it is no JSON object".to_owned());
    }
    let text = written.to_string();
    if text.len() as u64 > largest {
        return Err(format!(
            "it has {} bytes; at most {largest} are taken",
            text.len()
        ));
    }
    let manifest = limits::manifest(text.as_bytes()).map_err(|error| error.to_string())?;
    let name = manifest.package_name().map_err(|error| error.to_string())?;
    let version = manifest.version().unwrap_or_default().to_owned();
    if version.is_empty() {
        return Err("it has no \"version\"".to_owned());
    }
    if version.chars().any(char::is_control) {
        return Err("its \"version\" has control characters".to_owned());
    }
    let normalized = Version::parse(&version).map_err(|error| error.to_string())?;
    let checked = manifest.check_as(&version);
    checked.map_err(|error| error.to_string())?;
    let dist = part(&manifest, "dist").map(dist).transpose()?;
    let source = own_source(&manifest, protocols)?;
    if dist.is_none() && source.is_none() && manifest.kind() != "metapackage" {
        return Err(
            "it has neither \"dist\" nor \"source\": give one of them, or the type \"metapackage\""
                .to_owned(),
        );
    }
    let defined = Defined {
        normalized: normalized.as_str().to_owned(),
        released_at: part(&manifest, "time").and_then(released_at),
        manifest: text.into(),
        version,
        dist,
    };
    Ok((name, defined))
}

fn part<'m>(manifest: &'m Manifest, key: &str) -> Option<&'m Value> {
    manifest.raw().get(key).filter(|value| !value.is_null())
}

fn dist(value: &Value) -> Result<RemoteDist, String> {
    let text = |key: &str| value[key].as_str().unwrap_or_default();
    let kind = text("type").to_lowercase();
    if !matches!(kind.as_str(), "zip" | "tar") {
        return Err(format!(
            "its dist has the type {kind:?}; zip and tar are taken"
        ));
    }
    let written = text("url");
    let url = Url::parse(written)
        .ok()
        .filter(|url| written.len() <= TEXT && matches!(url.scheme(), "http" | "https"));
    let mut url = url.ok_or("its dist has no \"url\" with http or https")?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err("the URL of its dist has credentials: choose a credential instead".to_owned());
    }
    url.set_fragment(None);
    let shasum = text("shasum").to_lowercase();
    let is_sha1 = shasum.len() == 40 && shasum.bytes().all(|byte| byte.is_ascii_hexdigit());
    if !shasum.is_empty() && !is_sha1 {
        return Err("the \"shasum\" of its dist is no SHA-1 in hexadecimal digits".to_owned());
    }
    let known = format!("{kind}\n{url}\n{}\n{shasum}", text("reference"));
    Ok(RemoteDist {
        reference: hex::encode(Sha1::digest(known)),
        shasum: is_sha1.then_some(shasum),
        url,
        kind,
    })
}

/// The `source` of a version as Composer may be told it; where it is no repository, that is said.
///
/// What Composer has had holes in, and what begins with a hyphen, is refused (see the table of security lessons).
pub(crate) fn own_source(
    manifest: &Manifest,
    protocols: &Protocols,
) -> Result<Option<Value>, String> {
    let Some(source) = part(manifest, "source") else {
        return Ok(None);
    };
    let text = |key: &str| source[key].as_str().unwrap_or_default();
    let kind = text("type");
    if !matches!(kind, "git" | "hg" | "svn") {
        return Err(format!(
            "its source has the type {kind:?}; git, hg and svn are taken"
        ));
    }
    let url = RepositoryUrl::parse(text("url"), protocols).map_err(|error| error.to_string())?;
    let reference = text("reference");
    let is_clean = !reference.is_empty()
        && reference.len() <= TEXT
        && !reference.starts_with('-')
        && !reference.chars().any(char::is_control);
    if !is_clean {
        return Err("its source has no usable \"reference\"".to_owned());
    }
    Ok(Some(
        json!({ "type": kind, "url": url.to_string(), "reference": reference }),
    ))
}

/// The moment that a `time` names, in the two forms that Composer's own files have.
fn released_at(time: &Value) -> Option<Millis> {
    let text = time.as_str()?.trim();
    let text = match text.len() {
        10 => format!("{text}T00:00:00Z"),
        19 => format!("{text}Z"),
        _ => text.to_owned(),
    };
    let moment = OffsetDateTime::parse(&text.replacen(' ', "T", 1), &Rfc3339).ok()?;
    Some(moment.unix_timestamp() * SECOND)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(json: &Value) -> Result<Definition, String> {
        Definition::parse(json, &Protocols::default(), 1 << 20)
    }

    #[test]
    fn another_address_or_checksum_has_another_reference() {
        let reference = |url: &str, shasum: &str| {
            let version = json!({
                "name": "acme/zip", "version": "1.0.0", "time": "2026-01-02 03:04:05",
                "dist": { "type": "zip", "url": url, "shasum": shasum },
            });
            let wrapped = json!({ "type": "package", "package": version });
            assert_eq!(parse(&wrapped).unwrap().name, parse(&version).unwrap().name);
            let definition = parse(&version).unwrap();
            assert_eq!(definition.versions[0].released_at, Some(1_767_323_045_000));
            definition.versions[0].dist.clone().unwrap().reference
        };
        let one = reference("https://example.org/a.zip", "");
        assert_eq!(one, reference("https://EXAMPLE.org/a.zip#part", ""));
        assert_ne!(one, reference("https://example.org/b.zip", ""));
        assert_ne!(one, reference("https://example.org/a.zip", &"a".repeat(40)));
    }

    #[test]
    fn what_nobody_could_install_is_refused_with_a_sentence() {
        let version = |more: &Value| {
            let mut version = json!({ "name": "acme/zip", "version": "1.0.0" });
            let fields = version.as_object_mut().unwrap();
            fields.extend(more.as_object().unwrap().clone());
            version
        };
        let dist = json!({ "dist": { "type": "zip", "url": "https://example.org/a.zip" } });
        let meta = json!({ "type": "metapackage" });
        let cases = [
            (json!([]), "from 1 to 5000 versions"),
            (json!("x"), "no JSON object"),
            (json!({ "version": "1.0" }), "name"),
            (version(&json!({})), "neither \"dist\" nor \"source\""),
            (version(&json!({ "version": "one" })), "version"),
            (version(&json!({ "version": "" })), "no \"version\""),
            (
                version(&json!({ "dist": { "type": "phar", "url": "https://example.org/a" } })),
                "zip and tar",
            ),
            (
                version(&json!({ "dist": { "type": "zip", "url": "file:///etc/passwd" } })),
                "http or https",
            ),
            (
                version(
                    &json!({ "dist": { "type": "zip", "url": "https://me:pass@example.org/a" } }),
                ),
                "has credentials",
            ),
            (
                version(
                    &json!({ "dist": { "type": "zip", "url": "https://example.org/a", "shasum": "x" } }),
                ),
                "SHA-1",
            ),
            (
                version(
                    &json!({ "source": { "type": "perforce", "url": "https://a.b/c", "reference": "1" } }),
                ),
                "git, hg and svn",
            ),
            (
                version(
                    &json!({ "source": { "type": "git", "url": "https://a.b/c", "reference": "--x" } }),
                ),
                "reference",
            ),
            (
                version(
                    &json!({ "source": { "type": "git", "url": "--upload-pack=x", "reference": "1" } }),
                ),
                "",
            ),
            (json!([version(&dist), version(&dist)]), "defined twice"),
            (
                json!([version(&meta), { "name": "acme/other", "version": "2", "type": "metapackage" }]),
                "one name",
            ),
            (
                version(&json!({ "type": "metapackage", "require": { "a/b": "!" } })),
                "require",
            ),
        ];
        for (json, expected) in cases {
            let error = parse(&json).unwrap_err();
            assert!(error.contains(expected), "{json}: {error}");
            assert!(!error.contains("pass@"), "{error}");
        }
    }
}
