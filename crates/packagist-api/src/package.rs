//! Packages and their versions. Which fields there are, and what is known of them: the contract's `Package`, `PackageDetail` and
//! `Version`.

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

/// A package as lists show it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Package {
    /// Its number, for ever.
    pub id: i64,
    /// `vendor/name`; of one that has no name yet, its repository.
    pub name: String,
    /// `private`, `public-mirror` or `private-mirror`.
    pub origin: String,
    /// Where it comes from.
    pub config: PackageConfig,
    /// What was given for a custom package.
    pub repo_config: Option<Value>,
    /// The credential that is used for it.
    pub credentials: Option<i64>,
    /// Whether Composer can install it.
    pub installable: bool,
    /// Whether its author has given it up.
    pub abandoned: bool,
    /// What its author advises to use instead.
    pub replacement_package: Option<String>,
    /// What new suborganizations may do with it.
    pub default_suborganization_access: Option<String>,
    /// Where more is.
    pub links: PackageLinks,
}

/// Where a package comes from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PackageConfig {
    /// `vcs`, `git`, `package`, `artifact` and others.
    #[serde(rename = "type")]
    pub kind: String,
    /// Its repository, where it has one.
    pub url: Option<String>,
    /// What was given for a custom package.
    pub custom_json: Option<Value>,
    /// The credential that is used for it.
    pub credentials_id: Option<i64>,
    /// The mirrored repository that it is from.
    pub mirrored_repository_id: Option<i64>,
    /// Of a package of artifacts, which are its.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub artifact_ids: Option<Vec<i64>>,
}

/// Addresses about a package.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PackageLinks {
    /// This package in the API: a path.
    #[serde(rename = "self")]
    pub own: String,
}

/// A package by itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PackageDetail {
    /// As in lists.
    #[serde(flatten)]
    pub package: Package,
    /// What of it can be installed.
    pub versions: Vec<Version>,
    /// How often it was installed.
    pub install_statistics: Statistics,
}

/// A version of a package.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Version {
    /// As its author writes it.
    pub version: String,
    /// As Composer compares it.
    pub version_normalized: String,
    /// Its commit; none without a repository.
    pub source_reference: Option<String>,
    /// What its archive was made of.
    pub dist_reference: Option<String>,
    /// RFC 3339.
    pub released_at: Option<String>,
    /// Whether it is the default branch.
    pub is_default_branch: bool,
}

/// How often something was installed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Statistics {
    /// Since the beginning.
    pub total: i64,
    /// In the last 30 days, this one included.
    pub last_month: i64,
    /// Since yesterday's beginning (UTC).
    pub last_day: i64,
}

/// A package as other things name it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PackageRef {
    /// Its number.
    pub id: i64,
    /// `vendor/name`.
    pub name: String,
}

/// What a package is made or changed by: the body of `POST packages/` and `PUT packages/{package}/`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PackageRequest {
    /// `vcs` (where it is not said), `git`, `github`, `gitlab`, `bitbucket`; `package` for a custom one; `artifact`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repo_type: Option<String>,
    /// The repository's URL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repo_url: Option<String>,
    /// A custom package's definition: JSON, or JSON as text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repo_config: Option<Value>,
    /// A package's artifacts: all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_ids: Option<Vec<i64>>,
    /// The credential for the repository; `null`: none. Not there: as it was.
    #[serde(
        default,
        deserialize_with = "said",
        skip_serializing_if = "Option::is_none"
    )]
    pub credentials: Option<Option<i64>>,
    /// What new suborganizations may do with it; clients before 1.42 call it `defaultSubrepositoryAccess`.
    #[serde(
        default,
        alias = "defaultSubrepositoryAccess",
        skip_serializing_if = "Option::is_none"
    )]
    pub default_suborganization_access: Option<String>,
}

/// Tells `null` from nothing.
#[expect(
    clippy::option_option,
    reason = "not said, said to be none, said to be one"
)]
fn said<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Option<Option<T>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

/// What of a package is looked at for security advisories.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SecurityMonitoringConfig {
    /// Every branch.
    #[serde(default)]
    pub monitor_all_branches: bool,
    /// Those besides the default branch, such as `dev-main`; without effect where all are looked at.
    #[serde(default)]
    pub monitored_branches: Vec<String>,
}
