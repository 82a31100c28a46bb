//! Credentials: our way to reach others' repositories. Encrypted at rest, sent to their own host only.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use kapelle_storage::db::credentials::{self as rows, Credential as Row};
use kapelle_storage::db::packages::Package;
use kapelle_storage::{Handle, StorageError};
use kapelle_vcs::{Credential, Protocol, RepositoryUrl};
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;

use crate::access::{self, Denied};
use crate::actor::Actor;
use crate::audit;
use crate::jobs::JobError;
use crate::registry::Registry;

/// Longest secret, in bytes: an ssh key with room to spare.
const SECRET: usize = 64 * 1024;
/// Longest user name and description, in characters.
const TEXT: usize = 255;

/// What kind of credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CredentialKind {
    /// User name and password.
    HttpBasic,
    /// A token, sent as GitHub, GitLab, Gitea and Bitbucket take it.
    Token,
    /// A private key in OpenSSH's format, without passphrase.
    SshKey,
}

impl CredentialKind {
    /// The word that the command line and the database use.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::HttpBasic => "http-basic",
            Self::Token => "token",
            Self::SshKey => "ssh-key",
        }
    }
}

impl std::str::FromStr for CredentialKind {
    type Err = CredentialError;

    fn from_str(text: &str) -> Result<Self, CredentialError> {
        match text {
            "http-basic" => Ok(Self::HttpBasic),
            "token" => Ok(Self::Token),
            "ssh-key" => Ok(Self::SshKey),
            other => Err(CredentialError::Kind(other.to_owned())),
        }
    }
}

/// Why a credential could not be kept or removed.
#[derive(Debug, thiserror::Error)]
pub enum CredentialError {
    /// Not allowed.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// No such kind.
    #[error("{0:?} is no kind of credential: use http-basic, token or ssh-key")]
    Kind(String),
    /// The host is not one.
    #[error("{0:?} is not a host: write it as in the repository's URL, with :port if it has one")]
    Host(String),
    /// Something about the text.
    #[error("{0}")]
    Text(&'static str),
    /// There is none of that id here.
    #[error(
        "there is no credential {0} in this organization: `kapelle credential list` shows them"
    )]
    Unknown(i64),
    /// A package uses it, or the database failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// What a new credential is made of.
#[derive(Debug)]
pub struct NewCredential {
    /// What kind.
    pub kind: CredentialKind,
    /// The host it is for, with `:port` where the URL has one.
    pub host: String,
    /// The user name; may be empty for tokens and keys.
    pub username: String,
    /// Password, token or private key.
    pub secret: SecretString,
    /// What it is for.
    pub description: String,
}

/// Keeps a credential; gives its id.
pub async fn add(
    registry: &Registry,
    actor: &Actor,
    organization_id: i64,
    new: &NewCredential,
) -> Result<i64, CredentialError> {
    access::administer(actor, organization_id)?;
    let host = new.host.trim().to_lowercase();
    check(new, &host)?;
    let sealed = registry.parts.secrets.seal(
        &place(organization_id, new.kind.as_str(), &host),
        &new.secret,
    );
    let row = rows::NewCredential {
        organization_id,
        kind: new.kind.as_str(),
        host: &host,
        username: &new.username,
        secret: &sealed,
        description: &new.description,
        created_at: registry.now(),
    };
    let mut transaction = registry.database().write().await?;
    let id = rows::insert(&mut transaction, row).await?;
    audit::record(
        registry,
        &mut transaction,
        actor,
        audit::Entry {
            organization_id: Some(organization_id),
            action: "credential.add",
            subject: &id.to_string(),
            detail: json!({ "kind": new.kind.as_str(), "host": host }),
        },
    )
    .await?;
    transaction.commit().await?;
    Ok(id)
}

fn check(new: &NewCredential, host: &str) -> Result<(), CredentialError> {
    let allowed =
        |character: char| character.is_ascii_alphanumeric() || "-.:[]_".contains(character);
    if host.is_empty() || host.len() > TEXT || host.starts_with('-') || !host.chars().all(allowed) {
        return Err(CredentialError::Host(new.host.clone()));
    }
    let secret = new.secret.expose_secret();
    let plain = |text: &str| text.chars().count() <= TEXT && !text.chars().any(char::is_control);
    if !plain(&new.username) || !plain(&new.description) {
        return Err(CredentialError::Text(
            "user name and description are at most 255 characters, without control characters",
        ));
    }
    if secret.is_empty() || secret.len() > SECRET {
        return Err(CredentialError::Text(
            "the secret is empty or longer than 64 KiB",
        ));
    }
    let is_key = secret.contains("PRIVATE KEY-----");
    match new.kind {
        CredentialKind::SshKey if !is_key => Err(CredentialError::Text(
            "this is not a private key: give the file that ssh-keygen wrote, not the one ending in .pub",
        )),
        CredentialKind::SshKey if has_passphrase(secret) => Err(CredentialError::Text(
            "this private key has a passphrase, which nobody could type in: make one without (ssh-keygen -N '')",
        )),
        CredentialKind::HttpBasic if new.username.is_empty() => Err(CredentialError::Text(
            "an http-basic credential needs a user name",
        )),
        CredentialKind::HttpBasic | CredentialKind::Token
            if secret.chars().any(char::is_control) =>
        {
            Err(CredentialError::Text(
                "the secret has control characters, such as a line end",
            ))
        }
        _ => Ok(()),
    }
}

/// OpenSSH's format names its cipher after a fixed head; PEM says so in plain words.
fn has_passphrase(key: &str) -> bool {
    if key.contains("ENCRYPTED") {
        return true;
    }
    let body: String = key
        .lines()
        .filter(|line| !line.contains("-----"))
        .map(str::trim)
        .collect();
    let Ok(bytes) = STANDARD.decode(body) else {
        return false;
    };
    let cipher = bytes.strip_prefix(b"openssh-key-v1\0\0\0\0".as_slice());
    cipher.is_some_and(|cipher| !cipher.starts_with(b"\x04none"))
}

/// The organization's credentials, without their secrets.
pub async fn list(
    registry: &Registry,
    actor: &Actor,
    organization_id: i64,
) -> Result<Vec<Row>, CredentialError> {
    access::administer(actor, organization_id)?;
    Ok(rows::list(&mut registry.database().read().await?, organization_id).await?)
}

/// Forgets a credential that no package uses.
pub async fn remove(
    registry: &Registry,
    actor: &Actor,
    organization_id: i64,
    id: i64,
) -> Result<(), CredentialError> {
    access::administer(actor, organization_id)?;
    let mut transaction = registry.database().write().await?;
    if !rows::delete(&mut transaction, organization_id, id).await? {
        return Err(CredentialError::Unknown(id));
    }
    audit::record(
        registry,
        &mut transaction,
        actor,
        audit::Entry {
            organization_id: Some(organization_id),
            action: "credential.remove",
            subject: &id.to_string(),
            detail: json!({}),
        },
    )
    .await?;
    transaction.commit().await?;
    Ok(())
}

/// The credential that opens a package's repository: the one it names, else the newest of the right kind for its host.
pub(crate) async fn for_repository(
    registry: &Registry,
    on: &mut impl Handle,
    package: &Package,
    url: &RepositoryUrl,
) -> Result<Option<Credential>, JobError> {
    let row = if let Some(id) = package.credential_id {
        rows::find(on, package.organization_id, id).await?
    } else {
        let host = url.authority();
        let for_host = rows::find_by_host(on, package.organization_id, &host).await?;
        let is_ssh = url.protocol() == Protocol::Ssh;
        for_host
            .into_iter()
            .find(|row| (row.kind == "ssh-key") == is_ssh)
    };
    row.map(|row| {
        check_host_of(&row, url)?;
        unseal(registry, &row)
    })
    .transpose()
}

/// Whether a credential is for the host of a repository: a secret is sent to its own host only, whatever package
/// names it.
pub(crate) fn is_for(row: &Row, url: &RepositoryUrl) -> bool {
    let with_port = url
        .host_and_port()
        .map(|(host, port)| format!("{host}:{port}"));
    row.host == url.authority() || with_port.is_some_and(|host| row.host == host)
}

fn check_host_of(row: &Row, url: &RepositoryUrl) -> Result<(), JobError> {
    if is_for(row, url) {
        return Ok(());
    }
    Err(JobError::Fail(format!(
        "credential {} is for {}, and {url} is another host: choose another credential",
        row.id, row.host
    )))
}

fn unseal(registry: &Registry, row: &Row) -> Result<Credential, JobError> {
    let place = place(row.organization_id, &row.kind, &row.host);
    let secret = registry.parts.secrets.open(&place, &row.secret);
    let secret = secret.map_err(|error| JobError::Fail(error.to_string()))?;
    Ok(match row.kind.as_str() {
        "ssh-key" => Credential::SshKey {
            private_key: secret,
        },
        "token" => Credential::Token { token: secret },
        _ => Credential::HttpBasic {
            username: row.username.clone(),
            password: secret,
        },
    })
}

/// Whether our key opens a stored secret.
pub(crate) fn is_readable(registry: &Registry, row: &Row) -> bool {
    unseal(registry, row).is_ok()
}

/// Binds a stored secret to its row's meaning, so that it cannot be moved to another host by editing the table.
fn place(organization_id: i64, kind: &str, host: &str) -> String {
    format!("credentials/secret/{organization_id}/{kind}/{host}")
}
