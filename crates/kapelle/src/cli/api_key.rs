//! `kapelle api-key …`: how programs reach the management API.

use clap::{Subcommand, ValueEnum};
use kapelle_registry::actor::KeyAccess;
use kapelle_registry::api_key::{self, NewApiKey};
use kapelle_storage::db::api_keys::ApiKey;
use secrecy::ExposeSecret;
use serde::Serialize;

use super::OfOrganization;
use super::when;
use crate::app::{App, OPERATOR};
use crate::output::Row;

#[derive(Debug, Subcommand)]
pub(crate) enum ApiKeyCommand {
    /// Make a key; its secret is shown this once
    Create {
        #[command(flatten)]
        of: OfOrganization,
        /// What it may do: see everything of the organization, or also change it
        #[arg(long, value_enum, default_value = "read")]
        access: Access,
        /// What it is for
        #[arg(long, value_name = "TEXT", default_value = "")]
        description: String,
    },
    /// List the keys of an organization, without their secrets
    List {
        #[command(flatten)]
        of: OfOrganization,
    },
    /// Remove a key: the next request that is signed with it is refused
    Remove {
        /// The id that `api-key list` shows
        id: i64,
        #[command(flatten)]
        of: OfOrganization,
    },
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Access {
    /// See everything of the organization
    Read,
    /// See and change everything of the organization
    Admin,
}

#[derive(Debug, Serialize)]
struct Made {
    id: i64,
    key: String,
    secret: String,
    access: &'static str,
}

#[derive(Debug, Serialize)]
struct Shown {
    id: i64,
    key: String,
    access: String,
    description: String,
    created_at: String,
    last_used_at: Option<String>,
}

impl From<ApiKey> for Shown {
    fn from(key: ApiKey) -> Self {
        Self {
            id: key.id,
            key: key.key,
            access: key.access,
            description: key.description,
            created_at: when::rfc3339(key.created_at),
            last_used_at: when::optional(key.last_used_at),
        }
    }
}

impl Row for Shown {
    const HEADINGS: &'static [&'static str] =
        &["ID", "KEY", "ACCESS", "DESCRIPTION", "CREATED", "LAST USED"];

    fn cells(&self) -> Vec<String> {
        vec![
            self.id.to_string(),
            self.key.clone(),
            self.access.clone(),
            self.description.clone(),
            self.created_at.clone(),
            when::or(self.last_used_at.as_ref(), "never"),
        ]
    }
}

impl ApiKeyCommand {
    pub(crate) async fn run(self, app: &App) -> anyhow::Result<()> {
        match self {
            Self::Create {
                of,
                access,
                description,
            } => create(app, &of, access, &description).await,
            Self::List { of } => {
                let organization = of.find(app).await?;
                let keys = api_key::list(&app.registry, OPERATOR, organization.id).await?;
                let shown: Vec<Shown> = keys.into_iter().map(Shown::from).collect();
                let make = "there is no API key: make one with `kapelle api-key create`";
                Ok(app.output.list(&shown, make)?)
            }
            Self::Remove { id, of } => {
                let organization = of.find(app).await?;
                api_key::remove(&app.registry, OPERATOR, organization.id, id).await?;
                let removed = serde_json::json!({ "id": id, "removed": true });
                let sentence = format!("API key {id} is removed");
                Ok(app.output.item(&removed, &sentence)?)
            }
        }
    }
}

async fn create(
    app: &App,
    of: &OfOrganization,
    access: Access,
    description: &str,
) -> anyhow::Result<()> {
    let access = match access {
        Access::Read => KeyAccess::Read,
        Access::Admin => KeyAccess::Admin,
    };
    let new = NewApiKey {
        organization_id: of.find(app).await?.id,
        description,
        access,
    };
    let created = api_key::create(&app.registry, OPERATOR, new).await?;
    let made = Made {
        id: created.id,
        key: created.key,
        secret: created.secret.expose_secret().to_owned(),
        access: access.as_str(),
    };
    let text = format!("key    {}\nsecret {}", made.key, made.secret);
    Ok(app.output.item(&made, &text)?)
}
