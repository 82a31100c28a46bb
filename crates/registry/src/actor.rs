//! Who asks: every rule takes one, and every audit row names one.

use std::fmt;

/// What a Composer token may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenAccess {
    /// Read metadata and dists.
    Read,
    /// Read, and ask for packages to be updated.
    Update,
}

impl TokenAccess {
    /// The word that the command line, the API and the database use.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Update => "update",
        }
    }
}

impl std::str::FromStr for TokenAccess {
    type Err = UnknownAccess;

    fn from_str(text: &str) -> Result<Self, UnknownAccess> {
        match text {
            "read" => Ok(Self::Read),
            "update" => Ok(Self::Update),
            _ => Err(UnknownAccess),
        }
    }
}

/// The word is neither `read` nor `update`.
#[derive(Debug, thiserror::Error)]
#[error("the access of a token is `read` or `update`")]
pub struct UnknownAccess;

/// What a key of the management API may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyAccess {
    /// See everything of the organization.
    Read,
    /// Change it, too.
    Admin,
}

impl KeyAccess {
    /// The word that the command line and the database use.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Admin => "admin",
        }
    }
}

impl std::str::FromStr for KeyAccess {
    type Err = UnknownKeyAccess;

    fn from_str(text: &str) -> Result<Self, UnknownKeyAccess> {
        match text {
            "read" => Ok(Self::Read),
            "admin" => Ok(Self::Admin),
            _ => Err(UnknownKeyAccess),
        }
    }
}

/// The word is neither `read` nor `admin`.
#[derive(Debug, thiserror::Error)]
#[error("the access of an API key is `read` or `admin`")]
pub struct UnknownKeyAccess;

/// A key of the management API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ApiKeyActor {
    /// Its row.
    pub id: i64,
    /// The organization that it may see.
    pub organization_id: i64,
    /// What it may do there.
    pub access: KeyAccess,
}

/// A Composer token that was found to be valid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenActor {
    /// Its row.
    pub id: i64,
    /// The organization whose repository it opens.
    pub organization_id: i64,
    /// What it may do there.
    pub access: TokenAccess,
    /// When it stops, in milliseconds since 1970.
    pub expires_at: Option<i64>,
}

/// Who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Actor {
    /// Nobody we know: no credentials were sent.
    Anonymous,
    /// Credentials were sent and are not, or no longer, valid.
    Refused,
    /// A Composer token.
    Token(TokenActor),
    /// A key of the management API, whose signature was right.
    ApiKey(ApiKeyActor),
    /// Somebody with the data folder in their hands: the command line.
    Operator,
    /// A job of ours.
    Job(&'static str),
    /// A change hook whose signature or token was right: provider and organization.
    Hook(&'static str, i64),
}

/// As audit rows name it: never a secret.
impl fmt::Display for Actor {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Anonymous => formatter.write_str("anonymous"),
            Self::Refused => formatter.write_str("refused"),
            Self::Token(token) => write!(formatter, "token:{}", token.id),
            Self::ApiKey(key) => write!(formatter, "api-key:{}", key.id),
            Self::Operator => formatter.write_str("cli"),
            Self::Job(kind) => write!(formatter, "job:{kind}"),
            Self::Hook(provider, _) => write!(formatter, "hook:{provider}"),
        }
    }
}
