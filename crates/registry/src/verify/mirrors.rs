//! Mirrors: there, and whole.

use kapelle_storage::db::packages::{self, Package};
use kapelle_storage::db::{dists, package_references, versions};
use kapelle_vcs::{Mirror, VcsError};

use super::unbuilt::kept_by_nobody_else;
use super::walk::{Look, Walk};
use super::{Checked, Finding, Kind, VerifyError};

/// Looks at the mirror of a live package.
pub(super) async fn check(walk: &Walk<'_>, package: &Package) -> Result<(), VerifyError> {
    walk.confirm(walk.about(package), async || look(walk, package.id).await)
        .await
}

async fn look(walk: &Walk<'_>, package_id: i64) -> Result<Look<Option<i64>>, VerifyError> {
    let mut connection = walk.registry.database().read().await?;
    let package = packages::find_by_id(&mut connection, package_id).await?;
    let has_mirror = |package: &Package| package.removed_at.is_none() && package.kind == "vcs";
    let Some(package) = package.filter(has_mirror) else {
        return Ok(Look::default());
    };
    let published = versions::list_references(&mut connection, package_id).await?;
    drop(connection);
    let mut look = Look {
        state: Some(package.revision),
        ..Look::default()
    };
    let mirror = walk.registry.parts.git.mirror(package_id);
    if !mirror.exists() {
        if !published.is_empty() {
            look.suspects.note(Finding::new(
                Kind::MirrorMissing,
                walk.about(&package),
                "there is no mirror of its repository on this machine",
                "nothing: the next synchronization makes it anew",
            ));
        }
    } else if !walk.options.quick {
        follow(walk, &package, &mirror, &published, &mut look).await?;
    }
    Ok(look)
}

async fn follow(
    walk: &Walk<'_>,
    package: &Package,
    mirror: &Mirror,
    published: &[String],
    look: &mut Look<Option<i64>>,
) -> Result<(), VerifyError> {
    let permit = walk.reading.acquire().await;
    look.checked = Checked {
        mirrors: 1,
        ..Checked::default()
    };
    let looked = match mirror.verify_links().await {
        Ok(()) => mirror.missing(published).await,
        Err(error) => Err(error),
    };
    drop(permit);
    match looked {
        Ok(missing) => incomplete(walk, package, &missing, look).await,
        Err(error) => damaged(walk, package, &error, look).await,
    }
}

/// Commits that are not built either are looked for elsewhere.
async fn incomplete(
    walk: &Walk<'_>,
    package: &Package,
    missing: &[String],
    look: &mut Look<Option<i64>>,
) -> Result<(), VerifyError> {
    if missing.is_empty() {
        return Ok(());
    }
    let mut connection = walk.registry.database().read().await?;
    let built = dists::shown(&mut connection, package.id).await?;
    let mut missing = missing.iter().filter(|commit| built.contains_key(*commit));
    if let Some(first) = missing.next() {
        let count = 1 + missing.count();
        look.suspects.note(Finding::new(
            Kind::MirrorIncomplete,
            walk.about(package).reference(first),
            format!("this machine's mirror lacks {count} of its commits"),
            "keep their archives: they cannot be made anew here",
        ));
    }
    Ok(())
}

/// Mirrors are a cache: a damaged one is bad only as long as something is to be built from it.
async fn damaged(
    walk: &Walk<'_>,
    package: &Package,
    error: &VcsError,
    look: &mut Look<Option<i64>>,
) -> Result<(), VerifyError> {
    let mut connection = walk.registry.database().read().await?;
    let unbuilt =
        package_references::list_without_dist(&mut connection, package.id, i64::MAX).await?;
    drop(connection);
    let needed = kept_by_nobody_else(walk, package.id, &unbuilt).await?;
    let finding = Finding::new(
        Kind::MirrorDamaged,
        walk.about(package),
        error.to_string(),
        "synchronize the package: that makes the mirror anew, after what can be saved was saved",
    );
    if needed.is_empty() {
        look.suspects.note(finding);
    } else {
        look.suspects.broken(finding);
    }
    Ok(())
}
