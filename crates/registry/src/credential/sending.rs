//! Credentials as they are sent: to their own host, and to no other.

use kapelle_outbound::{HeaderMap, HeaderName, HeaderValue, Url};
use kapelle_storage::Handle;
use kapelle_storage::db::credentials::{self as rows, Credential as Row};
use kapelle_storage::db::packages::Package;
use kapelle_vcs::{Credential, Protocol, Protocols, RepositoryUrl};
use secrecy::SecretString;

use super::CredentialKind;
use crate::jobs::JobError;
use crate::registry::Registry;
use crate::secrets::SecretsError;

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

/// The secret in clear.
pub(super) fn open(registry: &Registry, row: &Row) -> Result<SecretString, SecretsError> {
    let place = place(row.organization_id, &row.kind, &row.host);
    registry.parts.secrets.open(&place, &row.secret)
}

fn unseal(registry: &Registry, row: &Row) -> Result<Credential, JobError> {
    let failed = |error: String| JobError::Fail(error);
    // Another process may be giving the secrets another key.
    let secret = open(registry, row).map_err(|error| JobError::Retry(error.to_string()))?;
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
