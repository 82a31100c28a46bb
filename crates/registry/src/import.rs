//! `satis.json` in, packages out. What cannot be taken over is listed by name, never passed over in silence.

use kapelle_storage::db::packages::Package;
use kapelle_vcs::RepositoryUrl;
use serde_json::{Map, Value};

use crate::actor::Actor;
use crate::package::{self, PackageError};
use crate::registry::Registry;

/// Largest satis.json that is read, in bytes.
pub const LIMIT: u64 = 16 * 1024 * 1024;

/// Why a file could not be imported at all.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// Not JSON.
    #[error("this is not a satis.json")]
    Json(#[from] serde_json::Error),
    /// JSON, but not what satis reads.
    #[error("this is not a satis.json: {0}")]
    Shape(&'static str),
    /// A package could not be added for a reason that is not its own.
    #[error(transparent)]
    Package(#[from] PackageError),
}

/// What a satis.json asks for, as far as Kapelle has it.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// Repository URLs of the types `vcs` and `git`.
    pub repositories: Vec<String>,
    /// What is not taken over, each with its reason.
    pub left_out: Vec<(String, String)>,
}

/// What came of it.
#[derive(Debug, Default)]
pub struct Imported {
    /// New packages, each with the job that fetches it.
    pub added: Vec<(Package, i64)>,
    /// Repositories that were here already.
    pub known: Vec<String>,
    /// Repositories that were refused, with the reason.
    pub refused: Vec<(String, String)>,
    /// What the file asks for and Kapelle does not have.
    pub left_out: Vec<(String, String)>,
}

/// Reads a satis.json.
pub fn read(bytes: &[u8]) -> Result<Plan, ImportError> {
    let value: Value = serde_json::from_slice(bytes)?;
    let Value::Object(satis) = value else {
        return Err(ImportError::Shape("it is not a JSON object"));
    };
    let mut plan = Plan::default();
    for (key, value) in &satis {
        read_setting(key, value, &mut plan)?;
    }
    Ok(plan)
}

fn read_setting(key: &str, value: &Value, plan: &mut Plan) -> Result<(), ImportError> {
    match key {
        "repositories" => read_repositories(value, plan),
        // Every version of every repository is published: a superset of what these ask for.
        "require-all" | "name" | "homepage" | "description" | "output-dir" | "output-html"
        | "providers" | "minimum-stability" | "pretty-print" | "abandoned-packages" => Ok(()),
        "require" => {
            plan.left_out.push((
                "require".to_owned(),
                "every version of every repository is published, so the selection is not applied"
                    .to_owned(),
            ));
            Ok(())
        }
        "archive" => {
            read_archive(value, plan);
            Ok(())
        }
        other => {
            plan.left_out.push((
                other.to_owned(),
                "this setting has no counterpart yet".to_owned(),
            ));
            Ok(())
        }
    }
}

fn read_repositories(value: &Value, plan: &mut Plan) -> Result<(), ImportError> {
    let entries: Vec<&Value> = match value {
        Value::Array(list) => list.iter().collect(),
        Value::Object(map) => map.values().collect(),
        _ => {
            return Err(ImportError::Shape(
                "`repositories` is neither a list nor an object",
            ));
        }
    };
    for entry in entries {
        let Value::Object(repository) = entry else {
            continue;
        };
        let text = |key: &str| {
            repository
                .get(key)
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned()
        };
        if repository
            .values()
            .all(|value| *value == Value::Bool(false))
        {
            // `{"packagist.org": false}`: nothing else is mirrored here anyway.
            continue;
        }
        match (text("type").as_str(), text("url")) {
            ("vcs" | "git" | "github" | "gitlab" | "bitbucket" | "git-bitbucket", url)
                if !url.is_empty() =>
            {
                plan.repositories.push(url);
                note_options(repository, plan);
            }
            (kind, url) => plan.left_out.push((
                format!(
                    "repository {}",
                    if url.is_empty() {
                        inline_names(repository)
                    } else {
                        redacted(&url)
                    }
                ),
                format!("repositories of type {kind:?} are not taken over yet"),
            )),
        }
    }
    Ok(())
}

/// What a repository of type `package` holds; there is no URL to name it by.
fn inline_names(repository: &Map<String, Value>) -> String {
    let packages = match repository.get("package") {
        Some(Value::Array(list)) => list.iter().collect(),
        Some(one) => vec![one],
        None => Vec::new(),
    };
    let names: Vec<&str> = packages
        .iter()
        .filter_map(|package| package.get("name")?.as_str())
        .collect();
    if names.is_empty() {
        "without a URL".to_owned()
    } else {
        names.join(", ")
    }
}

fn note_options(repository: &Map<String, Value>, plan: &mut Plan) {
    for key in repository
        .keys()
        .filter(|key| !matches!(key.as_str(), "type" | "url" | "name"))
    {
        let url = repository
            .get("url")
            .and_then(Value::as_str)
            .unwrap_or_default();
        plan.left_out.push((
            format!("{key} of repository {}", redacted(url)),
            "this option has no counterpart yet".to_owned(),
        ));
    }
}

fn read_archive(value: &Value, plan: &mut Plan) {
    for key in value.as_object().into_iter().flat_map(Map::keys) {
        match key.as_str() {
            // Dists are always made, as zip, at stable URLs of our own, with a checksum.
            "directory" | "skip-dev" | "absolute-directory" | "prefix-url" | "checksum"
            | "rearchive" => {}
            "format" if value.get("format").and_then(Value::as_str) == Some("zip") => {}
            other => plan.left_out.push((
                format!("archive.{other}"),
                "dists are always made of every version, as zip".to_owned(),
            )),
        }
    }
}

/// Adds every repository that is not here yet; nothing that one of them does wrong stops the others.
pub async fn run(
    registry: &Registry,
    actor: &Actor,
    organization_id: i64,
    plan: Plan,
) -> Result<Imported, ImportError> {
    let mut imported = Imported {
        left_out: plan.left_out,
        ..Imported::default()
    };
    for url in plan.repositories {
        match package::add(registry, actor, organization_id, &url, None).await {
            Ok(added) => imported.added.push(added),
            Err(PackageError::Duplicate { .. }) => imported.known.push(url),
            Err(PackageError::Url(error)) => imported
                .refused
                .push((shown(registry, &url), error.to_string())),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(imported)
}

/// A refused URL may hold a password: only what parses is shown in full.
fn shown(registry: &Registry, url: &str) -> String {
    RepositoryUrl::parse(url, registry.protocols())
        .map_or_else(|_| redacted(url), |url| url.to_string())
}

/// A URL without what may be secret in it: user, password and query.
fn redacted(url: &str) -> String {
    let (plain, query) = url.split_at(url.find(['?', '#']).unwrap_or(url.len()));
    let end = if query.is_empty() { "" } else { "?…" };
    match plain.rsplit_once('@') {
        Some((_, rest)) => format!("…@{rest}{end}"),
        None => format!("{plain}{end}"),
    }
}
