//! Changing a package: where it comes from, which credential is used for it, what suborganizations may do with it.

use kapelle_storage::Transaction;
use kapelle_storage::db::packages::{self as rows, Package};
use kapelle_storage::db::{artifacts, credentials, definitions};
use kapelle_vcs::{Protocols, RepositoryUrl};
use serde_json::{Value, json};

use super::create::{Source, check_repository_type, check_suborganization_access, read_definition};
use super::definition::Definition;
use super::{PackageError, display_name, live_of_repository};
use crate::access;
use crate::actor::Actor;
use crate::artifact;
use crate::audit;
use crate::clock::Millis;
use crate::credential;
use crate::document;
use crate::jobs::{self, SyncPackage};
use crate::registry::Registry;

/// What is changed; the rest stays.
#[derive(Clone, Debug, Default)]
pub struct Edit {
    /// Where it comes from now; a package stays of its kind.
    pub source: Option<Source>,
    /// The credential's id; `Some(None)` for whichever fits the host.
    pub credential_id: Option<Option<i64>>,
    /// What new suborganizations may do with it.
    pub suborganization_access: Option<String>,
}

/// Changes a package and queues a look at it; gives the package and the job. Everything that was published stays, also what
/// only an old repository had.
pub async fn edit(
    registry: &Registry,
    actor: &Actor,
    package: &Package,
    edit: &Edit,
) -> Result<(Package, i64), PackageError> {
    let organization_id = package.organization_id;
    access::administer(actor, organization_id)?;
    let definition = match &edit.source {
        Some(Source::Custom(json)) => Some(read_definition(registry, json)?),
        _ => None,
    };
    let mut transaction = registry.database().write().await?;
    // Whoever edits it at the same time waits here, and then reads what this one wrote.
    let stored = rows::hold(&mut transaction, package.id).await?;
    let stored = stored.ok_or_else(|| PackageError::Unknown(display_name(package)))?;
    let credential_id = edit.credential_id.unwrap_or(stored.credential_id);
    let mut detail = json!({
        "credential": { "from": stored.credential_id, "to": credential_id },
    });
    match &edit.source {
        Some(source) if kind_of(source) != stored.kind => {
            return Err(PackageError::Kind {
                name: display_name(&stored),
                kind: stored.kind,
            });
        }
        Some(Source::Custom(json)) => {
            redefine(&mut transaction, &stored, definition, json).await?;
        }
        Some(Source::Artifacts(ids)) => {
            detail["artifacts"] = json!(ids);
            exchange(&mut transaction, &stored, ids, registry.now()).await?;
        }
        Some(Source::Repository { .. }) | None => {}
    }
    let moved = match &edit.source {
        Some(Source::Repository { kind, url }) => {
            check_repository_type(kind)?;
            Some((RepositoryUrl::parse(url, registry.protocols())?, kind))
        }
        _ => None,
    };
    if let Some((url, kind)) = &moved {
        detail["url"] = json!({ "from": stored.repository_url, "to": url.to_string() });
        move_to(&mut transaction, &stored, url, kind).await?;
    }
    let url = match moved {
        Some((url, _)) => Some(url),
        None if stored.kind == "vcs" => {
            // What may be added was decided then.
            Some(RepositoryUrl::parse(
                &stored.repository_url,
                &Protocols::all(),
            )?)
        }
        None => None,
    };
    check_credential(
        &mut transaction,
        organization_id,
        credential_id,
        url.as_ref(),
    )
    .await?;
    rows::set_credential(&mut transaction, stored.id, credential_id).await?;
    if let Some(access) = &edit.suborganization_access {
        check_suborganization_access(access)?;
        rows::set_suborganization_access(&mut transaction, stored.id, access).await?;
    }
    let entry = audit::Entry {
        organization_id: Some(organization_id),
        action: "package.edit",
        subject: &display_name(&stored),
        detail,
    };
    audit::record(registry, &mut transaction, actor, entry).await?;
    let job = SyncPackage {
        organization_id,
        package_id: stored.id,
    };
    let job = jobs::enqueue(registry, &mut transaction, &job).await?;
    // The metadata names the repository; and documents that are damaged are made anew.
    document::bring_back(registry, &mut transaction, &stored).await?;
    let edited = rows::find(&mut transaction, organization_id, stored.id).await?;
    transaction.commit().await?;
    registry.catch_up().await?;
    registry.wake_workers();
    let edited = edited.ok_or_else(|| PackageError::Unknown(display_name(package)))?;
    Ok((edited, job))
}

fn kind_of(source: &Source) -> &'static str {
    match source {
        Source::Repository { .. } => "vcs",
        Source::Custom(_) => "custom",
        Source::Artifacts(_) => "artifact",
    }
}

async fn move_to(
    transaction: &mut Transaction,
    stored: &Package,
    url: &RepositoryUrl,
    kind: &str,
) -> Result<(), PackageError> {
    let key = url.key();
    let holder = live_of_repository(transaction, stored.organization_id, &key).await?;
    if let Some(holder) = holder.filter(|holder| holder.id != stored.id) {
        return Err(PackageError::Duplicate {
            url: url.to_string(),
            name: display_name(&holder),
        });
    }
    rows::set_repository(transaction, stored.id, &url.to_string(), &key, kind).await?;
    Ok(())
}

async fn redefine(
    transaction: &mut Transaction,
    stored: &Package,
    definition: Option<Definition>,
    json: &Value,
) -> Result<(), PackageError> {
    let name = display_name(stored);
    let other = definition.map(|definition| definition.name);
    if let Some(other) = other.filter(|other| other.as_str() != name) {
        return Err(PackageError::Definition(format!(
            "this package is {name}, and the definition is of {other}: a package keeps its name"
        )));
    }
    definitions::put(transaction, stored.id, &json.to_string()).await?;
    Ok(())
}

/// The package has these artifacts from now on, and no others.
async fn exchange(
    transaction: &mut Transaction,
    stored: &Package,
    ids: &[i64],
    now: Millis,
) -> Result<(), PackageError> {
    let chosen = artifact::choose(transaction, stored.organization_id, ids, Some(stored)).await?;
    for old in artifacts::list(transaction, stored.id).await? {
        if !ids.contains(&old.id) {
            artifacts::free(transaction, old.id, now).await?;
        }
    }
    for artifact in &chosen.artifacts {
        artifacts::give(transaction, artifact.id, stored.id).await?;
    }
    Ok(())
}

/// A credential that is named must be there, and is sent to its own host only: that of the package's repository, where it
/// has one.
pub(super) async fn check_credential(
    transaction: &mut Transaction,
    organization_id: i64,
    credential_id: Option<i64>,
    url: Option<&RepositoryUrl>,
) -> Result<(), PackageError> {
    let Some(id) = credential_id else {
        return Ok(());
    };
    // Nobody deletes it before the package has it.
    let found = credentials::lock(transaction, organization_id, id).await?;
    let found = found.ok_or(PackageError::UnknownCredential(id))?;
    match url {
        Some(url) if !credential::is_for(&found, url) => Err(PackageError::CredentialHost {
            id,
            host: found.host,
            url: url.to_string(),
        }),
        _ => Ok(()),
    }
}
