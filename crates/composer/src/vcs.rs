//! From a repository's tags and branches to versions, as Composer's `VcsRepository` does it.

use thiserror::Error;

use crate::constraint::Constraint;
use crate::text::shown;
use crate::version::{normalize, normalize_branch};

/// The version that a tag stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TagVersion {
    /// As people read it: the tag (`v1.0.0`) or what composer.json declares.
    pub version: String,
    /// As versions are compared: `1.0.0.0`.
    pub normalized: String,
}

/// The development version that a branch stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BranchVersion {
    /// As people read it: `dev-main`, `1.x-dev`, `v2.0.x-dev`.
    pub version: String,
    /// As versions are compared: `dev-main`, `1.9999999.9999999.9999999-dev`.
    pub normalized: String,
}

/// Why a tag or a branch is no version. Composer skips these without a word.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum InvalidRef {
    #[error("tag \"{tag}\" is not a version; tag releases like \"1.2.3\" or \"v1.2.3\"")]
    TagName { tag: String },
    #[error(
        "tag \"{tag}\" is a development version, which only branches can be; name the tag after a release"
    )]
    DevelopmentTag { tag: String },
    #[error(
        "composer.json declares version \"{declared}\", which is not a version; correct it, or remove it so that the tag \"{tag}\" decides"
    )]
    DeclaredVersion { tag: String, declared: String },
    #[error(
        "tag \"{tag}\" ({normalized}) contradicts version \"{declared}\" in composer.json; remove \"version\" there or move the tag"
    )]
    Contradiction {
        tag: String,
        normalized: String,
        declared: String,
    },
    #[error(
        "branch \"{branch}\" cannot be a version because Composer could not require it; rename the branch"
    )]
    BranchName { branch: String },
}

/// The version of a tag. `release-` is removed wherever it stands; development versions are refused.
///
/// `tag` is the short name, without `refs/tags/`. Tags that stand for the same version
/// (`v1.0.0` and `1.0.0`) have equal `normalized`; the first one counts.
pub fn tag_version(tag: &str) -> Result<TagVersion, InvalidRef> {
    let version = tag.replace("release-", "");
    let normalized = normalize(&version).map_err(|_| InvalidRef::TagName { tag: shown(tag) })?;
    if without_dev(&normalized) != normalized {
        return Err(InvalidRef::DevelopmentTag { tag: shown(tag) });
    }
    Ok(TagVersion {
        version: readable(&version, &normalized).unwrap_or(version),
        normalized,
    })
}

/// Compares a tag's version with the `version` that composer.json declares at that tag, and returns
/// what to publish: the declared spelling when there is one.
///
/// Development flags of the declared version are ignored: `1.0.0-dev` agrees with the tag `1.0.0`.
pub fn tag_matches(declared: Option<&str>, tag: TagVersion) -> Result<TagVersion, InvalidRef> {
    let Some(declared) = declared else {
        return Ok(tag);
    };
    let normalized = normalize(declared).map_err(|_| InvalidRef::DeclaredVersion {
        tag: shown(&tag.version),
        declared: shown(declared),
    })?;
    if without_dev(&normalized) != tag.normalized {
        return Err(InvalidRef::Contradiction {
            tag: shown(&tag.version),
            normalized: tag.normalized,
            declared: shown(declared),
        });
    }
    Ok(TagVersion {
        version: readable(declared, &tag.normalized).unwrap_or(tag.version),
        normalized: tag.normalized,
    })
}

/// The development version of a branch; `version` in its composer.json does not matter.
///
/// `branch` is the short name, without `refs/heads/`. Numbers become `1.0.x-dev` and keep a leading
/// `v`, all else becomes `dev-…` with `+` for `#`, which would start a reference in a requirement.
pub fn branch_version(branch: &str) -> Result<BranchVersion, InvalidRef> {
    let normalized = normalize_branch(branch);
    if Constraint::parse(&normalized).is_err() {
        return Err(InvalidRef::BranchName {
            branch: shown(branch),
        });
    }
    if normalized.starts_with("dev-") {
        return Ok(BranchVersion {
            version: format!("dev-{}", branch.replace('#', "+")),
            normalized: normalized.replace('#', "+"),
        });
    }
    let prefix = if branch.starts_with('v') { "v" } else { "" };
    Ok(BranchVersion {
        version: format!("{prefix}{}", with_placeholders(&normalized)),
        normalized,
    })
}

/// A spelling without a development flag, if it still is the same version.
fn readable(version: &str, normalized: &str) -> Option<String> {
    let version = without_dev_suffix(version);
    (normalize(version).as_deref() == Ok(normalized)).then(|| version.to_owned())
}

fn without_dev(normalized: &str) -> &str {
    let rest = match normalized.get(..4) {
        Some(prefix) if prefix.eq_ignore_ascii_case("dev-") => &normalized[4..],
        _ => normalized,
    };
    without_dev_suffix(rest)
}

fn without_dev_suffix(version: &str) -> &str {
    let Some(cut) = version.len().checked_sub(3) else {
        return version;
    };
    match version.get(cut..) {
        Some(suffix) if suffix.eq_ignore_ascii_case("dev") => {
            let rest = &version[..cut];
            rest.strip_suffix(['.', '-']).unwrap_or(rest)
        }
        _ => version,
    }
}

/// `1.9999999.9999999.9999999-dev` as `1.x-dev`.
fn with_placeholders(normalized: &str) -> String {
    let mut readable = String::with_capacity(normalized.len());
    let mut rest = normalized;
    while let Some(at) = rest.find(".9999999") {
        readable.push_str(&rest[..at]);
        readable.push_str(".x");
        rest = &rest[at..];
        while let Some(after) = rest.strip_prefix(".9999999") {
            rest = after;
        }
    }
    readable + rest
}
