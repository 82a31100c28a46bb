//! Teams of an organization and who is in them.

use super::Number;
use super::users::User;
use crate::Result;
use crate::handle::{Handle, Transaction, execute, fetch_all, fetch_one};
use crate::row::columns;
use crate::statement::sql;
use crate::value::values;

/// A team.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Team {
    /// Key.
    pub id: i64,
    /// Whose it is.
    pub organization_id: i64,
    /// Its name: `Owners`.
    pub name: String,
    /// When it was made.
    pub created_at: i64,
}
columns!(Team: id, organization_id, name, created_at);

/// The key of the organization's team with this name, which is added when new.
pub async fn upsert(
    tx: &mut Transaction,
    organization_id: i64,
    name: &str,
    now: i64,
) -> Result<i64> {
    let sql = sql!(
        "INSERT INTO teams (organization_id, name, created_at) VALUES ($1, $2, $3)
         ON CONFLICT (organization_id, name) DO UPDATE SET name = excluded.name
         RETURNING id AS value"
    );
    fetch_one::<Number>(tx, sql, values![organization_id, name, now])
        .await
        .map(|row| row.value)
}

/// Puts a user into a team and says whether that was new.
pub async fn add_member(
    tx: &mut Transaction,
    team_id: i64,
    user_id: i64,
    now: i64,
) -> Result<bool> {
    let sql = sql!(
        "INSERT INTO team_members (team_id, user_id, created_at) VALUES ($1, $2, $3)
         ON CONFLICT (team_id, user_id) DO NOTHING"
    );
    Ok(execute(tx, sql, values![team_id, user_id, now]).await? > 0)
}

/// An organization's teams, by name.
pub async fn list(on: &mut impl Handle, organization_id: i64) -> Result<Vec<Team>> {
    let sql = sql!(
        "SELECT id, organization_id, name, created_at FROM teams WHERE organization_id = $1 ORDER BY name"
    );
    fetch_all(on, sql, values![organization_id]).await
}

/// A team's members, by address.
pub async fn members(on: &mut impl Handle, team_id: i64) -> Result<Vec<User>> {
    let sql = sql!(
        "SELECT users.id, users.email, users.created_at FROM users
         JOIN team_members ON team_members.user_id = users.id
         WHERE team_members.team_id = $1 ORDER BY users.email"
    );
    fetch_all(on, sql, values![team_id]).await
}
