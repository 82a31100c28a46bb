//! Package by package: its versions, commits, documents and archives, and its mirror.

use futures::{TryStreamExt, stream};
use kapelle_composer::Stability;
use kapelle_storage::db::packages::{self, Package};
use kapelle_storage::db::versions::{self, Version};

use super::documents::{self, Published};
use super::walk::{Look, PAGE, PARALLEL, Walk};
use super::{Checked, VerifyError, archives, mirrors, references, unbuilt};

/// A package while it is looked at.
pub(super) struct Subject {
    pub(super) package: Package,
    /// Its live versions, also while the package itself is removed.
    pub(super) versions: Vec<Version>,
    /// What its documents say.
    pub(super) published: Published,
}

impl Subject {
    /// A version at a commit, for people: rather a tag than a branch.
    pub(super) fn version_at(&self, reference: &str) -> Option<&str> {
        let at = self
            .versions
            .iter()
            .filter(|version| version.reference == reference);
        let found = at.min_by_key(|version| version.stability == Stability::Dev.as_str());
        found.map(|version| version.version.as_str())
    }
}

/// Looks at every package, some at once.
pub(super) async fn check(walk: &Walk<'_>) -> Result<(), VerifyError> {
    let database = walk.registry.database();
    walk.enter(
        "packages",
        packages::count_all(&mut database.read().await?).await?,
    );
    let mut after = 0;
    loop {
        let page = packages::list_all(&mut database.read().await?, after, PAGE).await?;
        let Some(last) = page.last() else {
            return Ok(());
        };
        after = last.id;
        stream::iter(page.into_iter().map(Ok))
            .try_for_each_concurrent(PARALLEL, |package| one(walk, package))
            .await?;
    }
}

async fn one(walk: &Walk<'_>, package: Package) -> Result<(), VerifyError> {
    walk.confirm(walk.about(&package), async || look(walk, package.id).await)
        .await?;
    archives::check(walk, &package).await?;
    mirrors::check(walk, &package).await?;
    walk.step();
    Ok(())
}

/// Whatever changes what is published moves the revision on in the same transaction.
type State = Option<(i64, Option<i64>)>;

async fn look(walk: &Walk<'_>, package_id: i64) -> Result<Look<State>, VerifyError> {
    let mut connection = walk.registry.database().read().await?;
    let Some(package) = packages::find_by_id(&mut connection, package_id).await? else {
        return Ok(Look::default());
    };
    let versions = versions::list_live(&mut connection, package_id).await?;
    drop(connection);
    let mut look = Look {
        state: Some((package.revision, package.removed_at)),
        ..Look::default()
    };
    let subject = documents::of_package(walk, package, versions, &mut look.suspects).await?;
    let commits = references::look(walk, &subject, &mut look.suspects).await?;
    unbuilt::look(walk, &subject, &commits.unbuilt, &mut look.suspects).await?;
    look.checked = Checked {
        packages: 1,
        versions: subject.versions.len() as u64,
        references: commits.count,
        ..Checked::default()
    };
    Ok(look)
}
