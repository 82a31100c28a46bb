//! The one decision about access: what an actor may see and do in an organization.
//!
//! Root, metadata, dists, search, list, hooks and the command line all ask here. Anonymous gets "credentials
//! needed" where credentials could help; an authenticated actor without access learns nothing: "not found".

use crate::actor::{Actor, KeyAccess, TokenAccess};

/// What an actor may see of one organization's repository.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum View {
    /// Every live package and version.
    Full,
}

/// Why an actor may not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    /// No credentials were sent; some could help.
    #[error(
        "this repository needs a token: composer config --auth http-basic.HOST token YOUR-TOKEN, where HOST is this \
         server's with its port, if the URL has one"
    )]
    NeedsCredentials,
    /// Credentials were sent and are not valid here.
    #[error("the token that was sent is unknown, expired or revoked: ask for a new one")]
    InvalidCredentials,
    /// The actor has no access; it is not told whether there is anything.
    #[error("not found")]
    Hidden,
    /// The actor may read, but not do this.
    #[error("this token may only read: use one with update access")]
    ReadOnly,
    /// The API key may see everything and change nothing.
    #[error("this API key may only read: use one with admin access")]
    ReadOnlyKey,
}

/// What `actor` may read of the organization's repository.
pub fn read(actor: &Actor, organization_id: i64) -> Result<View, Denied> {
    match actor {
        Actor::Anonymous => Err(Denied::NeedsCredentials),
        Actor::Refused => Err(Denied::InvalidCredentials),
        Actor::Token(token) if token.organization_id == organization_id => Ok(View::Full),
        Actor::ApiKey(key) if key.organization_id == organization_id => Ok(View::Full),
        Actor::Token(_) | Actor::ApiKey(_) | Actor::Hook(..) => Err(Denied::Hidden),
        Actor::Operator | Actor::Job(_) => Ok(View::Full),
    }
}

/// Whether `actor` may ask for the organization's packages to be synchronized.
pub fn synchronize(actor: &Actor, organization_id: i64) -> Result<(), Denied> {
    match actor {
        Actor::Hook(_, organization) if *organization == organization_id => Ok(()),
        Actor::Token(token)
            if token.organization_id == organization_id && token.access == TokenAccess::Read =>
        {
            Err(Denied::ReadOnly)
        }
        Actor::ApiKey(_) => administer(actor, organization_id),
        _ => read(actor, organization_id).map(|View::Full| ()),
    }
}

/// Whether `actor` may see what the management of the organization shows: packages that have no name yet, jobs, tokens.
pub fn inspect(actor: &Actor, organization_id: i64) -> Result<(), Denied> {
    match actor {
        Actor::ApiKey(key) if key.organization_id == organization_id => Ok(()),
        other => administer(other, organization_id),
    }
}

/// Whether `actor` may change packages, tokens, credentials and settings of the organization.
pub fn administer(actor: &Actor, organization_id: i64) -> Result<(), Denied> {
    match actor {
        Actor::Operator | Actor::Job(_) => Ok(()),
        Actor::ApiKey(key) if key.organization_id == organization_id => match key.access {
            KeyAccess::Admin => Ok(()),
            KeyAccess::Read => Err(Denied::ReadOnlyKey),
        },
        Actor::Token(token) if token.organization_id == organization_id => Err(Denied::ReadOnly),
        other => read(other, organization_id).map(|View::Full| ()),
    }
}
