//! `kapelle credential …`: how this registry reaches repositories. Secrets never stand on a command line.

use std::io::{IsTerminal, Read};
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::{Subcommand, ValueEnum};
use kapelle_registry::credential::{self, CredentialKind, NewCredential};
use kapelle_storage::db::credentials::Credential;
use secrecy::SecretString;
use serde::Serialize;

use super::{OfOrganization, when};
use crate::app::{App, OPERATOR};
use crate::output::Row;

/// Longest secret that is read, in bytes; the registry has the rule.
const LONGEST: u64 = 1024 * 1024;

#[derive(Debug, Subcommand)]
pub(crate) enum CredentialCommand {
    /// Keep a credential; its secret is asked for, or read from standard input or a file
    Add {
        #[command(flatten)]
        of: OfOrganization,
        /// What kind of secret it is
        #[arg(long, value_enum)]
        kind: Kind,
        /// The host it is for, with :port where the repository's URL has one
        #[arg(long)]
        host: String,
        /// User name, where the kind needs one
        #[arg(long, default_value = "")]
        username: String,
        /// What it is for
        #[arg(long, value_name = "TEXT", default_value = "")]
        description: String,
        /// Read the secret from this file instead of standard input
        #[arg(long, value_name = "FILE")]
        secret_file: Option<PathBuf>,
        /// Use it only for packages that name it, and not for every repository of its host
        #[arg(long)]
        chosen_only: bool,
    },
    /// List the credentials of an organization, without their secrets
    List {
        #[command(flatten)]
        of: OfOrganization,
    },
    /// Forget a credential that no package uses
    Remove {
        /// The id that `credential list` shows
        id: i64,
        #[command(flatten)]
        of: OfOrganization,
    },
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Kind {
    /// User name and password
    HttpBasic,
    /// A token of GitHub, GitLab, Gitea or Bitbucket
    Token,
    /// A private key in OpenSSH's format, without passphrase
    SshKey,
    /// A token of GitHub
    GithubOauth,
    /// A token of GitLab
    GitlabToken,
    /// User name and application password of Bitbucket
    BitbucketAppPw,
    /// Public and private key of a Magento repository
    Magento,
    /// A header of any name, which is given as the user name
    HttpHeader,
}

impl From<Kind> for CredentialKind {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::HttpBasic => Self::HttpBasic,
            Kind::Token => Self::Token,
            Kind::SshKey => Self::SshKey,
            Kind::GithubOauth => Self::GithubOauth,
            Kind::GitlabToken => Self::GitlabToken,
            Kind::BitbucketAppPw => Self::BitbucketAppPassword,
            Kind::Magento => Self::Magento,
            Kind::HttpHeader => Self::HttpHeader,
        }
    }
}

#[derive(Debug, Serialize)]
struct Shown {
    id: i64,
    kind: String,
    host: String,
    username: String,
    description: String,
    automatic: bool,
    created_at: String,
}

impl From<Credential> for Shown {
    fn from(credential: Credential) -> Self {
        Self {
            id: credential.id,
            kind: credential.kind,
            host: credential.host,
            username: credential.username,
            description: credential.description,
            automatic: credential.automatic,
            created_at: when::rfc3339(credential.created_at),
        }
    }
}

impl Row for Shown {
    const HEADINGS: &'static [&'static str] = &[
        "ID",
        "KIND",
        "HOST",
        "USED FOR",
        "USER",
        "DESCRIPTION",
        "CREATED",
    ];

    fn cells(&self) -> Vec<String> {
        vec![
            self.id.to_string(),
            self.kind.clone(),
            self.host.clone(),
            if self.automatic {
                "the host".to_owned()
            } else {
                "chosen".to_owned()
            },
            self.username.clone(),
            self.description.clone(),
            self.created_at.clone(),
        ]
    }
}

impl CredentialCommand {
    pub(crate) async fn run(self, app: &App) -> anyhow::Result<()> {
        match self {
            Self::Add {
                of,
                kind,
                host,
                username,
                description,
                secret_file,
                chosen_only,
            } => {
                let organization = of.find(app).await?;
                let secret = read_secret(kind, secret_file.as_deref())?;
                let new = NewCredential {
                    kind: kind.into(),
                    host,
                    username,
                    secret,
                    description,
                    automatic: !chosen_only,
                };
                let id = credential::add(&app.registry, OPERATOR, organization.id, &new).await?;
                let added =
                    serde_json::json!({ "id": id, "kind": new.kind.as_str(), "host": new.host });
                Ok(app
                    .output
                    .item(&added, &format!("credential {id} for {} is kept", new.host))?)
            }
            Self::List { of } => {
                let organization = of.find(app).await?;
                let credentials =
                    credential::list(&app.registry, OPERATOR, organization.id).await?;
                let shown: Vec<Shown> = credentials.into_iter().map(Shown::from).collect();
                Ok(app.output.list(
                    &shown,
                    "there is no credential: add one with `kapelle credential add`",
                )?)
            }
            Self::Remove { id, of } => {
                let organization = of.find(app).await?;
                credential::remove(&app.registry, OPERATOR, organization.id, id).await?;
                let removed = serde_json::json!({ "id": id, "removed": true });
                Ok(app
                    .output
                    .item(&removed, &format!("credential {id} is forgotten"))?)
            }
        }
    }
}

/// From the file, else asked for without echo on a terminal, else all of standard input.
fn read_secret(kind: Kind, file: Option<&Path>) -> anyhow::Result<SecretString> {
    let secret = if let Some(file) = file {
        let open = std::fs::File::open(file);
        read_all(
            open.with_context(|| format!("the secret file {} cannot be read", file.display()))?,
        )?
    } else if std::io::stdin().is_terminal() && !matches!(kind, Kind::SshKey) {
        rpassword::prompt_password("Secret (not shown): ")
            .context("the secret cannot be asked for")?
    } else {
        read_all(std::io::stdin().lock())?
    };
    // A key needs its last line end; elsewhere it comes from `echo` and editors.
    Ok(match kind {
        Kind::SshKey => secret.into(),
        _ => secret.trim_end_matches(['\r', '\n']).into(),
    })
}

fn read_all(source: impl Read) -> anyhow::Result<String> {
    let mut text = String::new();
    source
        .take(LONGEST)
        .read_to_string(&mut text)
        .context("the secret cannot be read")?;
    Ok(text)
}
