//! `kapelle hook …`: what to enter at a hosting service so that a push is installable at once.

use clap::Subcommand;
use kapelle_registry::organization;
use secrecy::ExposeSecret;
use serde::Serialize;

use super::OfOrganization;
use crate::app::{App, OPERATOR};
use crate::output::{self, Row};

/// Provider and how it proves itself.
const PROVIDERS: [(&str, &str); 5] = [
    (
        "github",
        "the secret as the webhook's secret, content type application/json",
    ),
    ("gitlab", "the secret as the webhook's secret token"),
    ("gitea", "the secret as the webhook's secret"),
    ("bitbucket", "the secret as the webhook's secret"),
    (
        "generic",
        "the secret as a bearer token; body {\"repository\": \"URL\"}",
    ),
];

#[derive(Debug, Subcommand)]
pub(crate) enum HookCommand {
    /// Show the hook addresses of an organization and the secret that they are signed with
    Show {
        #[command(flatten)]
        of: OfOrganization,
    },
    /// Replace the secret; the old one is refused from now on, so enter the new one at every hosting service
    Rotate {
        #[command(flatten)]
        of: OfOrganization,
    },
}

#[derive(Debug, Serialize)]
struct Shown {
    organization: String,
    secret: String,
    hooks: Vec<Hook>,
}

#[derive(Debug, Serialize)]
struct Hook {
    provider: &'static str,
    url: String,
    proof: &'static str,
}

impl Row for Hook {
    const HEADINGS: &'static [&'static str] = &["PROVIDER", "URL", "ENTER"];

    fn cells(&self) -> Vec<String> {
        vec![
            self.provider.to_owned(),
            self.url.clone(),
            self.proof.to_owned(),
        ]
    }
}

impl HookCommand {
    pub(crate) async fn run(self, app: &App) -> anyhow::Result<()> {
        let (organization, secret) = match self {
            Self::Show { of } => {
                let organization = of.find(app).await?;
                let secret = organization::hook_secret(&app.registry, &organization)?;
                (organization, secret)
            }
            Self::Rotate { of } => {
                let organization = of.find(app).await?;
                let rotated =
                    organization::rotate_hook_secret(&app.registry, OPERATOR, &organization);
                let secret = rotated.await?;
                (organization, secret)
            }
        };
        let base = app.registry.public_url();
        let hooks = PROVIDERS.map(|(provider, proof)| Hook {
            provider,
            url: format!("{base}hooks/{provider}/{}", organization.slug),
            proof,
        });
        let shown = Shown {
            organization: organization.slug,
            secret: secret.expose_secret().to_owned(),
            hooks: hooks.into(),
        };
        let text = format!(
            "secret  {}\n\n{}",
            shown.secret,
            output::table(&shown.hooks)
        );
        Ok(app.output.item(&shown, &text)?)
    }
}
