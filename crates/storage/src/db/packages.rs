//! Packages: a repository of an organization and the name it goes by.

use super::linked_names::Relation;
use super::{Flag, Number};
use crate::Result;
use crate::handle::{
    Handle, Transaction, execute, execute_one, fetch_all, fetch_one, fetch_optional,
};
use crate::row::columns;
use crate::statement::sql;
use crate::value::values;

/// A package, live or a tombstone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Package {
    /// Key.
    pub id: i64,
    /// Whose it is.
    pub organization_id: i64,
    /// Composer's name, lower case; `None` until the first synchronization.
    pub name: Option<String>,
    /// `vcs`, `custom` or `artifact`.
    pub kind: String,
    /// `private`.
    pub origin: String,
    /// Where its repository is, without credentials; empty: it has none.
    pub repository_url: String,
    /// `host/path`, by which a hook finds it.
    pub repository_key: String,
    /// The credential for the repository, if a certain one was chosen.
    pub credential_id: Option<i64>,
    /// The kind of repository that was asked for: `vcs`, `git`, `github`, `svn` and others.
    pub repository_type: String,
    /// What new suborganizations may do with it; empty: nothing was said.
    pub suborganization_access: String,
    /// Upstream's default branch.
    pub default_branch: Option<String>,
    /// For people.
    pub description: String,
    /// Composer's `type`, such as `library`.
    pub package_type: String,
    /// `None`: no; empty: yes; else the replacement.
    pub abandoned: Option<String>,
    /// What was wrong with the last synchronization; `None`: nothing.
    pub sync_error: Option<String>,
    /// When the last synchronization ended.
    pub synced_at: Option<i64>,
    /// When it was added.
    pub created_at: i64,
    /// Grows with each publication: an optimistic lock.
    pub revision: i64,
    /// When it was removed; `None`: it is live.
    pub removed_at: Option<i64>,
}
columns!(
    Package: id, organization_id, name, kind, origin, repository_url, repository_key, credential_id, repository_type,
    suborganization_access, default_branch, description, package_type = "type", abandoned, sync_error, synced_at, created_at, revision,
    removed_at
);

/// What a new package is made of; the fields are [`Package`]'s.
#[derive(Debug, Clone, Copy)]
pub struct NewPackage<'n> {
    pub organization_id: i64,
    /// Known before it was ever synchronized where it does not come from a repository.
    pub name: Option<&'n str>,
    pub kind: &'n str,
    pub origin: &'n str,
    pub repository_url: &'n str,
    pub repository_key: &'n str,
    pub repository_type: &'n str,
    pub suborganization_access: &'n str,
    pub credential_id: Option<i64>,
    pub created_at: i64,
}

/// What a synchronization learned about the package as a whole; the fields are [`Package`]'s.
#[derive(Debug, Clone, Copy)]
pub struct Identity<'n> {
    pub name: Option<&'n str>,
    pub description: &'n str,
    pub package_type: &'n str,
    pub abandoned: Option<&'n str>,
    pub default_branch: Option<&'n str>,
}

/// Adds a package; a live one with the same repository, or the same name, is
/// [`StorageError::Duplicate`](crate::StorageError::Duplicate).
pub async fn insert(tx: &mut Transaction, new: NewPackage<'_>) -> Result<i64> {
    let sql = sql!(
        "INSERT INTO packages (organization_id, name, kind, origin, repository_url, repository_key, repository_type,
             suborganization_access, credential_id, description, type, created_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, '', 'library', $10) RETURNING id AS value"
    );
    let NewPackage {
        organization_id,
        name,
        kind,
        origin,
        repository_url,
        repository_key,
        repository_type,
        suborganization_access,
        credential_id,
        created_at,
    } = new;
    let values = values![
        organization_id,
        name,
        kind,
        origin,
        repository_url,
        repository_key,
        repository_type,
        suborganization_access,
        credential_id,
        created_at
    ];
    fetch_one::<Number>(tx, sql, values)
        .await
        .map(|row| row.value)
}

/// The organization's package with this key, removed or not.
pub async fn find(on: &mut impl Handle, organization_id: i64, id: i64) -> Result<Option<Package>> {
    let sql = sql!(
        "SELECT id, organization_id, name, kind, origin, repository_url, repository_key, credential_id, repository_type,
             suborganization_access, default_branch, description, type, abandoned, sync_error, synced_at, created_at, revision, removed_at
         FROM packages WHERE organization_id = $1 AND id = $2"
    );
    fetch_optional(on, sql, values![organization_id, id]).await
}

/// The organization's live package with this name.
pub async fn find_by_name(
    on: &mut impl Handle,
    organization_id: i64,
    name: &str,
) -> Result<Option<Package>> {
    let sql = sql!(
        "SELECT id, organization_id, name, kind, origin, repository_url, repository_key, credential_id, repository_type,
             suborganization_access, default_branch, description, type, abandoned, sync_error, synced_at, created_at, revision, removed_at
         FROM packages WHERE organization_id = $1 AND name = $2 AND removed_at IS NULL"
    );
    fetch_optional(on, sql, values![organization_id, name]).await
}

/// The organization's packages that have or had this name: the live one first, then the last removed.
pub async fn find_any_by_name(
    on: &mut impl Handle,
    organization_id: i64,
    name: &str,
) -> Result<Vec<Package>> {
    let sql = sql!(
        "SELECT id, organization_id, name, kind, origin, repository_url, repository_key, credential_id, repository_type,
             suborganization_access, default_branch, description, type, abandoned, sync_error, synced_at, created_at, revision, removed_at
         FROM packages WHERE organization_id = $1 AND name = $2
         ORDER BY CASE WHEN removed_at IS NULL THEN 0 ELSE 1 END, removed_at DESC, id DESC"
    );
    fetch_all(on, sql, values![organization_id, name]).await
}

/// The live packages of one organization, or of all, whose repository has this key.
pub async fn find_by_repository_key(
    on: &mut impl Handle,
    organization_id: Option<i64>,
    repository_key: &str,
) -> Result<Vec<Package>> {
    let sql = sql!(
        "SELECT id, organization_id, name, kind, origin, repository_url, repository_key, credential_id, repository_type,
             suborganization_access, default_branch, description, type, abandoned, sync_error, synced_at, created_at, revision, removed_at
         FROM packages
         WHERE repository_key = $2 AND removed_at IS NULL
             AND (CAST($1 AS BIGINT) IS NULL OR organization_id = $1)
         ORDER BY id"
    );
    fetch_all(on, sql, values![organization_id, repository_key]).await
}

/// An organization's removed packages whose repository had this key, the last removed first.
pub async fn find_removed_by_repository_key(
    on: &mut impl Handle,
    organization_id: i64,
    repository_key: &str,
) -> Result<Vec<Package>> {
    let sql = sql!(
        "SELECT id, organization_id, name, kind, origin, repository_url, repository_key, credential_id, repository_type,
             suborganization_access, default_branch, description, type, abandoned, sync_error, synced_at, created_at, revision, removed_at
         FROM packages WHERE organization_id = $1 AND repository_key = $2 AND removed_at IS NOT NULL
         ORDER BY removed_at DESC, id DESC"
    );
    fetch_all(on, sql, values![organization_id, repository_key]).await
}

/// A page of an organization's packages, oldest first: the live ones, or the removed ones.
pub async fn list(
    on: &mut impl Handle,
    organization_id: i64,
    removed: bool,
    after_id: i64,
    limit: i64,
) -> Result<Vec<Package>> {
    let sql = sql!(
        "SELECT id, organization_id, name, kind, origin, repository_url, repository_key, credential_id, repository_type,
             suborganization_access, default_branch, description, type, abandoned, sync_error, synced_at, created_at, revision, removed_at
         FROM packages
         WHERE organization_id = $1 AND (removed_at IS NOT NULL) = $2 AND id > $3 ORDER BY id LIMIT $4"
    );
    fetch_all(on, sql, values![organization_id, removed, after_id, limit]).await
}

/// A part of the organization's live packages, oldest first, all or those of one origin.
pub async fn page(
    on: &mut impl Handle,
    organization_id: i64,
    origin: Option<&str>,
    limit: i64,
    offset: i64,
) -> Result<Vec<Package>> {
    let sql = sql!(
        "SELECT id, organization_id, name, kind, origin, repository_url, repository_key, credential_id, repository_type,
             suborganization_access, default_branch, description, type, abandoned, sync_error, synced_at, created_at, revision, removed_at
         FROM packages
         WHERE organization_id = $1 AND removed_at IS NULL AND (CAST($2 AS TEXT) IS NULL OR origin = $2)
         ORDER BY id LIMIT $3 OFFSET $4"
    );
    fetch_all(on, sql, values![organization_id, origin, limit, offset]).await
}

/// How many live packages the organization has, in all or of one origin.
pub async fn count_of(
    on: &mut impl Handle,
    organization_id: i64,
    origin: Option<&str>,
) -> Result<i64> {
    let sql = sql!(
        "SELECT COUNT(*) AS value FROM packages
         WHERE organization_id = $1 AND removed_at IS NULL AND (CAST($2 AS TEXT) IS NULL OR origin = $2)"
    );
    fetch_one::<Number>(on, sql, values![organization_id, origin])
        .await
        .map(|row| row.value)
}

/// A page of the packages of all organizations, removed or not, by key after `after_id`.
pub async fn list_all(on: &mut impl Handle, after_id: i64, limit: i64) -> Result<Vec<Package>> {
    let sql = sql!(
        "SELECT id, organization_id, name, kind, origin, repository_url, repository_key, credential_id, repository_type,
             suborganization_access, default_branch, description, type, abandoned, sync_error, synced_at, created_at, revision, removed_at
         FROM packages WHERE id > $1 ORDER BY id LIMIT $2"
    );
    fetch_all(on, sql, values![after_id, limit]).await
}

/// How many packages all organizations have, removed ones included.
pub async fn count_all(on: &mut impl Handle) -> Result<i64> {
    let sql = sql!("SELECT COUNT(*) AS value FROM packages");
    fetch_one::<Number>(on, sql, values![])
        .await
        .map(|row| row.value)
}

/// How many live packages an organization has.
pub async fn count(on: &mut impl Handle, organization_id: i64) -> Result<i64> {
    let sql = sql!(
        "SELECT COUNT(*) AS value FROM packages WHERE organization_id = $1 AND removed_at IS NULL"
    );
    fetch_one::<Number>(on, sql, values![organization_id])
        .await
        .map(|row| row.value)
}

/// Whether an organization has more than `limit` live packages with a name; looks at no more than that.
pub async fn are_more_than(on: &mut impl Handle, organization_id: i64, limit: i64) -> Result<bool> {
    let sql = sql!(
        "SELECT COUNT(*) > $2 AS value FROM (SELECT 1 AS one FROM packages
             WHERE organization_id = $1 AND removed_at IS NULL AND name IS NOT NULL LIMIT $2 + 1) AS found"
    );
    fetch_one::<Flag>(on, sql, values![organization_id, limit])
        .await
        .map(|row| row.value)
}

/// A package's name and key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    /// Key.
    pub id: i64,
    /// Composer's name.
    pub name: String,
}
columns!(Named: id, name);

/// A page of an organization's live packages that have a live version, by key after `after_id`. All of them at once
/// would be too many for memory.
pub async fn names(
    on: &mut impl Handle,
    organization_id: i64,
    after_id: i64,
    limit: i64,
) -> Result<Vec<Named>> {
    let sql = sql!(
        "SELECT id, name FROM packages
         WHERE organization_id = $1 AND id > $2 AND removed_at IS NULL AND name IS NOT NULL
             AND EXISTS (SELECT 1 FROM versions
                 WHERE versions.package_id = packages.id AND versions.removed_at IS NULL)
         ORDER BY id LIMIT $3"
    );
    fetch_all(on, sql, values![organization_id, after_id, limit]).await
}

/// The organization's live packages that have such a relation to `name`.
pub async fn linked(
    on: &mut impl Handle,
    organization_id: i64,
    relation: Relation,
    name: &str,
) -> Result<Vec<Package>> {
    // CROSS JOIN: SQLite begins with the table on its left and so looks at nobody else's names.
    let sql = sql!(
        "SELECT id, organization_id, packages.name, kind, origin, repository_url, repository_key, credential_id,
             repository_type, suborganization_access, default_branch, description, type, abandoned, sync_error, synced_at, created_at, revision, removed_at
         FROM linked_names CROSS JOIN packages
         WHERE linked_names.name = $2 AND relation = $3 AND packages.id = linked_names.package_id
             AND organization_id = $1 AND removed_at IS NULL AND packages.name IS NOT NULL
         ORDER BY packages.name"
    );
    fetch_all(on, sql, values![organization_id, name, relation.as_str()]).await
}

/// A page of the organization's live packages with a live version whose name or description contains every term, and
/// how many there are in all. `package_type` limits them to one type.
///
/// Case does not matter for ASCII letters (on PostgreSQL for all). At most [`SEARCH_TERMS`] terms count.
pub async fn search(
    on: &mut impl Handle,
    organization_id: i64,
    terms: &[&str],
    package_type: Option<&str>,
    limit: i64,
    offset: i64,
) -> Result<(Vec<Package>, i64)> {
    // Not EXISTS: SQLite 3.51 makes a join of it and then counts OFFSET once per version.
    let found = sql!(
        "SELECT id, organization_id, name, kind, origin, repository_url, repository_key, credential_id, repository_type,
             suborganization_access, default_branch, description, type, abandoned, sync_error, synced_at, created_at, revision, removed_at
         FROM packages
         WHERE organization_id = $1 AND removed_at IS NULL AND name IS NOT NULL
             AND (CAST($2 AS TEXT) IS NULL OR type = $2)
             AND (CAST($3 AS TEXT) IS NULL OR lower(name || ' ' || description) LIKE lower($3) ESCAPE '!')
             AND (CAST($4 AS TEXT) IS NULL OR lower(name || ' ' || description) LIKE lower($4) ESCAPE '!')
             AND (CAST($5 AS TEXT) IS NULL OR lower(name || ' ' || description) LIKE lower($5) ESCAPE '!')
             AND (CAST($6 AS TEXT) IS NULL OR lower(name || ' ' || description) LIKE lower($6) ESCAPE '!')
             AND (SELECT 1 FROM versions
                 WHERE versions.package_id = packages.id AND versions.removed_at IS NULL LIMIT 1) = 1
         ORDER BY name LIMIT $7 OFFSET $8"
    );
    let total = sql!(
        "SELECT COUNT(*) AS value FROM packages
         WHERE organization_id = $1 AND removed_at IS NULL AND name IS NOT NULL
             AND (CAST($2 AS TEXT) IS NULL OR type = $2)
             AND (CAST($3 AS TEXT) IS NULL OR lower(name || ' ' || description) LIKE lower($3) ESCAPE '!')
             AND (CAST($4 AS TEXT) IS NULL OR lower(name || ' ' || description) LIKE lower($4) ESCAPE '!')
             AND (CAST($5 AS TEXT) IS NULL OR lower(name || ' ' || description) LIKE lower($5) ESCAPE '!')
             AND (CAST($6 AS TEXT) IS NULL OR lower(name || ' ' || description) LIKE lower($6) ESCAPE '!')
             AND (SELECT 1 FROM versions
                 WHERE versions.package_id = packages.id AND versions.removed_at IS NULL LIMIT 1) = 1"
    );
    let patterns: [Option<String>; SEARCH_TERMS] =
        std::array::from_fn(|index| terms.get(index).copied().map(pattern));
    let [a, b, c, d] = patterns.each_ref().map(Option::as_deref);
    let values = values![organization_id, package_type, a, b, c, d, limit, offset];
    let rows = fetch_all(on, found, values).await?;
    let total: Number = fetch_one(
        on,
        total,
        values![organization_id, package_type, a, b, c, d],
    )
    .await?;
    Ok((rows, total.value))
}

/// How many terms [`search`] looks at.
pub const SEARCH_TERMS: usize = 4;

/// SQLite refuses very long patterns; nobody means more than this.
const SEARCH_TERM_CHARACTERS: usize = 200;

/// The `LIKE` pattern for a text anywhere, with `!` as the escape.
fn pattern(term: &str) -> String {
    let mut pattern = String::from("%");
    for character in term.chars().take(SEARCH_TERM_CHARACTERS) {
        if matches!(character, '!' | '%' | '_') {
            pattern.push('!');
        }
        pattern.push(character);
    }
    pattern.push('%');
    pattern
}

/// Writes what a synchronization learned; a name that another live package has is
/// [`StorageError::Duplicate`](crate::StorageError::Duplicate).
pub async fn set_identity(tx: &mut Transaction, id: i64, identity: Identity<'_>) -> Result<()> {
    let sql = sql!(
        "UPDATE packages SET name = $2, description = $3, type = $4, abandoned = $5, default_branch = $6
         WHERE id = $1"
    );
    let Identity {
        name,
        description,
        package_type,
        abandoned,
        default_branch,
    } = identity;
    let values = values![
        id,
        name,
        description,
        package_type,
        abandoned,
        default_branch
    ];
    execute_one(tx, sql, values, "packages", id).await
}

/// Notes when a synchronization ended and what was wrong with it.
pub async fn set_synced(
    tx: &mut Transaction,
    id: i64,
    now: i64,
    error: Option<&str>,
) -> Result<()> {
    let sql = sql!("UPDATE packages SET synced_at = $2, sync_error = $3 WHERE id = $1");
    execute_one(tx, sql, values![id, now, error], "packages", id).await
}

/// Moves a package to another repository.
pub async fn set_repository(
    tx: &mut Transaction,
    id: i64,
    url: &str,
    key: &str,
    repository_type: &str,
) -> Result<()> {
    let sql = sql!(
        "UPDATE packages SET repository_url = $2, repository_key = $3, repository_type = $4 WHERE id = $1"
    );
    let values = values![id, url, key, repository_type];
    execute_one(tx, sql, values, "packages", id).await
}

/// Notes what new suborganizations may do with a package.
pub async fn set_suborganization_access(tx: &mut Transaction, id: i64, access: &str) -> Result<()> {
    let sql = sql!("UPDATE packages SET suborganization_access = $2 WHERE id = $1");
    execute_one(tx, sql, values![id, access], "packages", id).await
}

/// Chooses a certain credential for a package's repository, or none.
pub async fn set_credential(
    tx: &mut Transaction,
    id: i64,
    credential_id: Option<i64>,
) -> Result<()> {
    let sql = sql!("UPDATE packages SET credential_id = $2 WHERE id = $1");
    execute_one(tx, sql, values![id, credential_id], "packages", id).await
}

/// Hides a live package.
pub async fn remove(tx: &mut Transaction, id: i64, now: i64) -> Result<()> {
    let sql = sql!("UPDATE packages SET removed_at = $2 WHERE id = $1 AND removed_at IS NULL");
    execute_one(tx, sql, values![id, now], "packages", id).await
}

/// Brings a removed package back; when its name or repository is taken meanwhile, that is
/// [`StorageError::Duplicate`](crate::StorageError::Duplicate).
pub async fn restore(tx: &mut Transaction, id: i64) -> Result<()> {
    let sql =
        sql!("UPDATE packages SET removed_at = NULL WHERE id = $1 AND removed_at IS NOT NULL");
    execute_one(tx, sql, values![id], "packages", id).await
}

/// The package with this key, whosever it is.
pub async fn find_by_id(on: &mut impl Handle, id: i64) -> Result<Option<Package>> {
    let sql = sql!(
        "SELECT id, organization_id, name, kind, origin, repository_url, repository_key, credential_id, repository_type,
             suborganization_access, default_branch, description, type, abandoned, sync_error, synced_at, created_at, revision, removed_at
         FROM packages WHERE id = $1"
    );
    fetch_optional(on, sql, values![id]).await
}

/// Moves the revision on if it still is `revision`; `false`: somebody else published in between.
pub async fn advance_revision(tx: &mut Transaction, id: i64, revision: i64) -> Result<bool> {
    let sql = sql!("UPDATE packages SET revision = revision + 1 WHERE id = $1 AND revision = $2");
    Ok(execute(tx, sql, values![id, revision]).await? > 0)
}

/// Moves the revision on, so that a publication that is being prepared is prepared again.
pub async fn bump_revision(tx: &mut Transaction, id: i64) -> Result<()> {
    let sql = sql!("UPDATE packages SET revision = revision + 1 WHERE id = $1");
    execute_one(tx, sql, values![id], "packages", id).await
}

/// Keeps others from changing, removing or purging a package until the transaction ends, and gives it if it is live. A publication
/// that is being prepared is prepared again.
pub async fn hold(tx: &mut Transaction, id: i64) -> Result<Option<Package>> {
    let sql = sql!("UPDATE packages SET revision = revision + 1 WHERE id = $1");
    execute(tx, sql, values![id]).await?;
    let found = find_by_id(tx, id).await?;
    Ok(found.filter(|package| package.removed_at.is_none()))
}

/// A package, and whether one of its published commits has no dist.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Built {
    /// Key.
    pub id: i64,
    /// Whose it is.
    pub organization_id: i64,
    /// Whether a dist is missing.
    pub lacks_dists: bool,
}
columns!(Built: id, organization_id, lacks_dists);

/// A page of the live packages of all organizations, by key after `after_id`.
pub async fn list_built(on: &mut impl Handle, after_id: i64, limit: i64) -> Result<Vec<Built>> {
    let sql = sql!(
        "SELECT id, organization_id,
             EXISTS (SELECT 1 FROM package_references
                 WHERE package_references.package_id = packages.id AND package_references.purged_at IS NULL
                     AND NOT EXISTS (SELECT 1 FROM dists
                         WHERE dists.package_id = packages.id
                             AND dists.reference = package_references.reference)) AS lacks_dists
         FROM packages WHERE removed_at IS NULL AND id > $1 ORDER BY id LIMIT $2"
    );
    fetch_all(on, sql, values![after_id, limit]).await
}

/// A package that may be due for a look at its repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Waiting {
    /// Key.
    pub id: i64,
    /// Whose it is.
    pub organization_id: i64,
    /// When it was last synchronized, or added if it never was.
    pub since: i64,
}
columns!(Waiting: id, organization_id, since);

/// A page of the live packages of all organizations that have been waiting since before `before`, the longest first: those
/// after the moment and key of `after`.
pub async fn list_waiting(
    on: &mut impl Handle,
    after: (i64, i64),
    before: i64,
    limit: i64,
) -> Result<Vec<Waiting>> {
    // The condition on the moment alone is what the index is searched by.
    let sql = sql!(
        "SELECT id, organization_id, COALESCE(synced_at, created_at) AS since FROM packages
         WHERE removed_at IS NULL AND kind = 'vcs' AND COALESCE(synced_at, created_at) >= $1
             AND (COALESCE(synced_at, created_at), id) > ($1, $2) AND COALESCE(synced_at, created_at) < $3
         ORDER BY COALESCE(synced_at, created_at), id LIMIT $4"
    );
    fetch_all(on, sql, values![after.0, after.1, before, limit]).await
}
