//! `kapelle token …`: how Composer reaches this registry.

use clap::{Subcommand, ValueEnum};
use kapelle_registry::actor::TokenAccess;
use kapelle_registry::token::{self, NewToken};
use kapelle_storage::db::tokens::Token;
use serde::Serialize;

use super::OfOrganization;
use super::when::{self, End};
use crate::app::{App, OPERATOR};
use crate::output::Row;

#[derive(Debug, Subcommand)]
pub(crate) enum TokenCommand {
    /// Make a token; it is shown this once
    Create {
        #[command(flatten)]
        of: OfOrganization,
        /// What it may do: install packages, or also ask for them to be updated
        #[arg(long, value_enum, default_value = "read")]
        access: Access,
        /// What it is for
        #[arg(long, value_name = "TEXT", default_value = "")]
        description: String,
        /// When it stops working: 90d, 12h, or 2030-01-31T12:00:00Z [default: never]
        #[arg(long, value_name = "TIME")]
        expires: Option<End>,
    },
    /// List the tokens of an organization, without the tokens themselves
    List {
        #[command(flatten)]
        of: OfOrganization,
    },
    /// Revoke a token; it stops working everywhere within a second
    Remove {
        /// The id that `token list` shows
        id: i64,
        #[command(flatten)]
        of: OfOrganization,
    },
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Access {
    /// Install packages
    Read,
    /// Install packages and ask for updates
    Update,
}

#[derive(Debug, Serialize)]
struct Made {
    id: i64,
    token: String,
    access: &'static str,
    expires_at: Option<String>,
    repository_url: String,
}

#[derive(Debug, Serialize)]
struct Shown {
    id: i64,
    hint: String,
    access: String,
    description: String,
    created_at: String,
    expires_at: Option<String>,
    last_used_at: Option<String>,
}

impl From<Token> for Shown {
    fn from(token: Token) -> Self {
        Self {
            id: token.id,
            hint: token.hint,
            access: token.access,
            description: token.description,
            created_at: when::rfc3339(token.created_at),
            expires_at: when::optional(token.expires_at),
            last_used_at: when::optional(token.last_used_at),
        }
    }
}

impl Row for Shown {
    const HEADINGS: &'static [&'static str] = &[
        "ID",
        "TOKEN",
        "ACCESS",
        "DESCRIPTION",
        "CREATED",
        "EXPIRES",
        "LAST USED",
    ];

    fn cells(&self) -> Vec<String> {
        vec![
            self.id.to_string(),
            format!("…{}", self.hint),
            self.access.clone(),
            self.description.clone(),
            self.created_at.clone(),
            when::or(self.expires_at.as_ref(), "never"),
            when::or(self.last_used_at.as_ref(), "never"),
        ]
    }
}

impl TokenCommand {
    pub(crate) async fn run(self, app: &App) -> anyhow::Result<()> {
        match self {
            Self::Create {
                of,
                access,
                description,
                expires,
            } => create(app, &of, access, description, expires).await,
            Self::List { of } => {
                let organization = of.find(app).await?;
                let tokens = token::list(&app.registry, OPERATOR, organization.id).await?;
                let shown: Vec<Shown> = tokens.into_iter().map(Shown::from).collect();
                Ok(app.output.list(
                    &shown,
                    "there is no token: make one with `kapelle token create`",
                )?)
            }
            Self::Remove { id, of } => {
                let organization = of.find(app).await?;
                token::remove(&app.registry, OPERATOR, organization.id, id).await?;
                let removed = serde_json::json!({ "id": id, "removed": true });
                Ok(app
                    .output
                    .item(&removed, &format!("token {id} is revoked"))?)
            }
        }
    }
}

async fn create(
    app: &App,
    of: &OfOrganization,
    access: Access,
    description: String,
    expires: Option<End>,
) -> anyhow::Result<()> {
    let organization = of.find(app).await?;
    let access = match access {
        Access::Read => TokenAccess::Read,
        Access::Update => TokenAccess::Update,
    };
    let expires_at = expires.map(|end| end.after(app.registry.now()));
    let new = NewToken {
        organization_id: organization.id,
        description,
        access,
        expires_at,
    };
    let created = token::create(&app.registry, OPERATOR, &new).await?;
    let made = Made {
        id: created.id,
        token: created.reveal().to_owned(),
        access: access.as_str(),
        expires_at: when::optional(expires_at),
        repository_url: app.registry.repository_url(&organization.slug),
    };
    Ok(app.output.item(&made, &made.token)?)
}
