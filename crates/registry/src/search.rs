//! Finding packages: search, the list of names, and who provides a name.

use kapelle_composer::PackageName;
use kapelle_storage::StorageError;
use kapelle_storage::db::install_statistics;
use kapelle_storage::db::linked_names::Relation;
use kapelle_storage::db::packages::{self as rows, Package};
use regex::{Regex, RegexBuilder};

use crate::access::{self, Denied};
use crate::actor::Actor;
use crate::registry::Registry;

/// Words of a query that are looked at.
const WORDS: usize = 8;
/// Results of one page at most.
pub const PAGE: i64 = 100;
/// Names that are read at once.
const NAMES: i64 = 5_000;

/// Why nothing could be looked for.
#[derive(Debug, thiserror::Error)]
pub enum SearchError {
    /// Not allowed.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// The database failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// What is looked for.
#[derive(Clone, Debug, Default)]
pub struct Query {
    /// Words that name or description must have, in any case.
    pub text: String,
    /// The Composer type, such as `library`.
    pub package_type: Option<String>,
    /// Results per page, 1 to [`PAGE`].
    pub per_page: i64,
    /// The page, from 1.
    pub page: i64,
}

/// One page of results.
#[derive(Debug)]
pub struct Results {
    /// The packages, by name.
    pub packages: Vec<Package>,
    /// How often each of them was installed.
    pub installs: Vec<i64>,
    /// How many there are on all pages.
    pub total: i64,
}

/// Packages whose name or description has every word of the query.
pub async fn search(
    registry: &Registry,
    actor: &Actor,
    organization_id: i64,
    query: &Query,
) -> Result<Results, SearchError> {
    access::read(actor, organization_id)?;
    let words: Vec<String> = query
        .text
        .split_whitespace()
        .take(WORDS)
        .map(|word| word.to_ascii_lowercase().replace('\0', ""))
        .collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let limit = query.per_page.clamp(1, PAGE);
    let offset = (query.page.max(1) - 1).saturating_mul(limit);
    let mut connection = registry.database().read().await?;
    let (packages, total) = rows::search(
        &mut connection,
        organization_id,
        &words,
        query.package_type.as_deref(),
        limit,
        offset,
    )
    .await?;
    let mut installs = Vec::with_capacity(packages.len());
    for package in &packages {
        installs.push(install_statistics::total(&mut connection, package.id).await?);
    }
    Ok(Results {
        packages,
        installs,
        total,
    })
}

/// The names of all packages; `filter` is a glob (`*` for anything) over the whole name, or over the part after the
/// slash where `vendor` is given.
pub async fn list(
    registry: &Registry,
    actor: &Actor,
    organization_id: i64,
    vendor: Option<&str>,
    filter: Option<&str>,
) -> Result<Vec<String>, SearchError> {
    access::read(actor, organization_id)?;
    let vendor = vendor.map(str::to_lowercase);
    let glob = filter.and_then(glob);
    let is_wanted = |name: &str| {
        let (of, project) = name.split_once('/').unwrap_or(("", name));
        let right_vendor = vendor.as_deref().is_none_or(|vendor| vendor == of);
        let subject = if vendor.is_some() { project } else { name };
        right_vendor && glob.as_ref().is_none_or(|glob| glob.is_match(subject))
    };
    let (mut names, mut after) = (Vec::new(), 0);
    loop {
        let mut connection = registry.database().read().await?;
        let page = rows::names(&mut connection, organization_id, after, NAMES).await?;
        let Some(last) = page.last() else {
            names.sort_unstable();
            return Ok(names);
        };
        after = last.id;
        let wanted = page.into_iter().map(|named| named.name);
        names.extend(wanted.filter(|name| is_wanted(name)));
    }
}

/// Packages that provide or replace `name`, and the package of that name itself.
pub async fn providers(
    registry: &Registry,
    actor: &Actor,
    organization_id: i64,
    name: &str,
) -> Result<Vec<Package>, SearchError> {
    access::read(actor, organization_id)?;
    let mut connection = registry.database().read().await?;
    Ok(rows::linked(
        &mut connection,
        organization_id,
        Relation::Provides,
        &name.to_lowercase(),
    )
    .await?)
}

/// Which of `names` are packages here.
pub async fn known(
    registry: &Registry,
    actor: &Actor,
    organization_id: i64,
    names: &[String],
) -> Result<Vec<String>, SearchError> {
    access::read(actor, organization_id)?;
    let mut connection = registry.database().read().await?;
    let mut known = Vec::new();
    for name in names {
        let Ok(name) = PackageName::lookup(name) else {
            continue;
        };
        if rows::find_by_name(&mut connection, organization_id, name.as_str())
            .await?
            .is_some()
        {
            known.push(name.to_string());
        }
    }
    Ok(known)
}

/// A glob as an anchored pattern that ignores case; an overlong one matches nothing special and is left out.
fn glob(filter: &str) -> Option<Regex> {
    let pattern: Vec<String> = filter.split('*').map(regex::escape).collect();
    RegexBuilder::new(&format!("^{}$", pattern.join(".*")))
        .case_insensitive(true)
        .size_limit(64 * 1024)
        .build()
        .ok()
}
