//! Credentials: our way to reach others. Encrypted at rest, sent to their own host only.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use kapelle_outbound::{HeaderMap, HeaderName, HeaderValue, Url};
use kapelle_storage::db::credentials::{self as rows, Credential as Row};
use kapelle_storage::db::packages::Package;
use kapelle_storage::{Handle, StorageError};
use kapelle_vcs::{Credential, Protocol, Protocols, RepositoryUrl};
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;

use crate::access::{self, Denied};
use crate::actor::Actor;
use crate::audit;
use crate::jobs::JobError;
use crate::registry::Registry;
use crate::secrets::SecretsError;

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
    /// A token of GitHub's.
    GithubOauth,
    /// A token of GitLab's.
    GitlabToken,
    /// User name and application password of Bitbucket's.
    BitbucketAppPassword,
    /// Public and private key of a Magento repository.
    Magento,
    /// A header of any name; the user name is the header's.
    HttpHeader,
}

impl CredentialKind {
    /// Every kind with the word that clients, the command line and the database use; those of Private Packagist's API, and
    /// our own `token`.
    pub const ALL: [(Self, &'static str); 8] = [
        (Self::HttpBasic, "http-basic"),
        (Self::Token, "token"),
        (Self::SshKey, "ssh-key"),
        (Self::GithubOauth, "github-oauth"),
        (Self::GitlabToken, "gitlab-token"),
        (Self::BitbucketAppPassword, "bitbucket-app-pw"),
        (Self::Magento, "magento"),
        (Self::HttpHeader, "http-header"),
    ];

    /// The word for it.
    pub fn as_str(self) -> &'static str {
        let found = Self::ALL.iter().find(|(kind, _)| *kind == self);
        found.map_or("", |(_, word)| word)
    }

    fn needs_user(self) -> bool {
        matches!(
            self,
            Self::HttpBasic | Self::BitbucketAppPassword | Self::Magento | Self::HttpHeader
        )
    }
}

impl std::str::FromStr for CredentialKind {
    type Err = CredentialError;

    fn from_str(text: &str) -> Result<Self, CredentialError> {
        let found = Self::ALL.iter().find(|(_, word)| *word == text);
        found
            .map(|(kind, _)| *kind)
            .ok_or_else(|| CredentialError::Kind(text.to_owned()))
    }
}

/// Why a credential could not be kept or removed.
#[derive(Debug, thiserror::Error)]
pub enum CredentialError {
    /// Not allowed.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// No such kind.
    #[error(
        "{0:?} is no type of credential: use http-basic, token, ssh-key, github-oauth, gitlab-token, bitbucket-app-pw, \
         magento or http-header"
    )]
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
    /// Whether it is used for every repository of its host, and not only for packages that name it.
    pub automatic: bool,
}

/// What is changed of a credential; the rest stays.
#[derive(Debug, Default)]
pub struct Edit {
    /// What kind.
    pub kind: Option<CredentialKind>,
    /// The user name.
    pub username: Option<String>,
    /// Password, token or private key.
    pub secret: Option<SecretString>,
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
        automatic: new.automatic,
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
        CredentialKind::SshKey => Ok(()),
        kind if kind.needs_user() && new.username.is_empty() => Err(CredentialError::Text(
            "a credential of this type needs a user name: http-header has the header's name there",
        )),
        CredentialKind::HttpHeader if !is_header(&new.username) => Err(CredentialError::Text(
            "the user name of an http-header credential is the header's name, such as Authorization or PRIVATE-TOKEN; \
             those that belong to the connection are not taken",
        )),
        _ if secret.chars().any(char::is_control) => Err(CredentialError::Text(
            "the secret has control characters, such as a line end",
        )),
        _ => Ok(()),
    }
}

/// Whether a header may be sent by that name: none that changes what a request is.
fn is_header(name: &str) -> bool {
    // The client sends some of them on to wherever it is redirected.
    const OURS: [&str; 17] = [
        "accept",
        "accept-encoding",
        "accept-language",
        "connection",
        "content-length",
        "content-type",
        "expect",
        "host",
        "if-modified-since",
        "if-none-match",
        "keep-alive",
        "range",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "user-agent",
    ];
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    name.bytes().all(is_token) && !OURS.contains(&name.to_lowercase().as_str())
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

/// Changes what is sent to a credential's host; gives the credential, without its secret.
pub async fn edit(
    registry: &Registry,
    actor: &Actor,
    organization_id: i64,
    id: i64,
    edit: Edit,
) -> Result<Row, CredentialError> {
    access::administer(actor, organization_id)?;
    let mut transaction = registry.database().write().await?;
    let stored = rows::lock(&mut transaction, organization_id, id).await?;
    let stored = stored.ok_or(CredentialError::Unknown(id))?;
    let kind = edit.kind.map_or_else(|| stored.kind.parse(), Ok)?;
    let secret = match edit.secret {
        Some(secret) => secret,
        None => open(registry, &stored)
            .map_err(|_| CredentialError::Text("its secret cannot be read: give it anew"))?,
    };
    let new = NewCredential {
        kind,
        host: stored.host.clone(),
        username: edit.username.unwrap_or_else(|| stored.username.clone()),
        secret,
        description: stored.description.clone(),
        automatic: stored.automatic,
    };
    check(&new, &stored.host)?;
    let place = place(organization_id, kind.as_str(), &stored.host);
    let sealed = registry.parts.secrets.seal(&place, &new.secret);
    rows::update(&mut transaction, id, kind.as_str(), &new.username, &sealed).await?;
    audit::record(
        registry,
        &mut transaction,
        actor,
        audit::Entry {
            organization_id: Some(organization_id),
            action: "credential.edit",
            subject: &id.to_string(),
            detail: json!({ "kind": kind.as_str() }),
        },
    )
    .await?;
    let edited = rows::find(&mut transaction, organization_id, id).await?;
    transaction.commit().await?;
    edited.ok_or(CredentialError::Unknown(id))
}

/// The organization's credential, without its secret.
pub async fn find(
    registry: &Registry,
    actor: &Actor,
    organization_id: i64,
    id: i64,
) -> Result<Row, CredentialError> {
    access::inspect(actor, organization_id)?;
    let found = rows::find(&mut registry.database().read().await?, organization_id, id).await?;
    found.ok_or(CredentialError::Unknown(id))
}

/// The organization's credentials, without their secrets.
pub async fn list(
    registry: &Registry,
    actor: &Actor,
    organization_id: i64,
) -> Result<Vec<Row>, CredentialError> {
    access::inspect(actor, organization_id)?;
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

/// The headers that open a place reached over http, if the credential is for its host. Without TLS nothing is sent, but where the
/// credential names the port.
pub(crate) fn headers(registry: &Registry, row: &Row, url: &Url) -> Result<HeaderMap, JobError> {
    let mut headers = HeaderMap::new();
    let host = url.host_str().unwrap_or_default();
    let port = url.port_or_known_default().unwrap_or_default();
    let names_port = row.host == format!("{host}:{port}");
    let is_for =
        names_port || (row.host == host && url.port().is_none() && url.scheme() == "https");
    if !is_for {
        return Ok(headers);
    }
    let place = format!("{}://{}/any", url.scheme(), row.host);
    let place = RepositoryUrl::parse(&place, &Protocols::all());
    let place = place.map_err(|error| JobError::Fail(error.to_string()))?;
    if let Some((name, value)) = unseal(registry, row)?.header(&place) {
        let unusable = || JobError::Fail(format!("credential {} is no header", row.id));
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| unusable())?;
        let mut value = HeaderValue::from_str(&value).map_err(|_| unusable())?;
        value.set_sensitive(true);
        headers.insert(name, value);
    }
    Ok(headers)
}

fn open(registry: &Registry, row: &Row) -> Result<SecretString, SecretsError> {
    let place = place(row.organization_id, &row.kind, &row.host);
    registry.parts.secrets.open(&place, &row.secret)
}

fn unseal(registry: &Registry, row: &Row) -> Result<Credential, JobError> {
    let failed = |error: String| JobError::Fail(error);
    let secret = open(registry, row).map_err(|error| failed(error.to_string()))?;
    let kind: Result<CredentialKind, _> = row.kind.parse();
    let username = row.username.clone();
    Ok(match kind.map_err(|error| failed(error.to_string()))? {
        CredentialKind::SshKey => Credential::SshKey {
            private_key: secret,
        },
        CredentialKind::Token | CredentialKind::GithubOauth | CredentialKind::GitlabToken => {
            Credential::Token { token: secret }
        }
        CredentialKind::HttpHeader => Credential::Header {
            name: username,
            value: secret,
        },
        CredentialKind::HttpBasic
        | CredentialKind::BitbucketAppPassword
        | CredentialKind::Magento => Credential::HttpBasic {
            username,
            password: secret,
        },
    })
}

/// Whether our key opens a stored secret.
pub(crate) fn is_readable(registry: &Registry, row: &Row) -> bool {
    unseal(registry, row).is_ok()
}

/// Binds a stored secret to its row's meaning, so that it cannot be moved to another host by editing the table.
pub(crate) fn place(organization_id: i64, kind: &str, host: &str) -> String {
    format!("credentials/secret/{organization_id}/{kind}/{host}")
}
