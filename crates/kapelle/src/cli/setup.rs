//! `kapelle setup`: an organization with everything a script needs to go on.

use clap::Args;
use kapelle_registry::organization;
use secrecy::ExposeSecret;
use serde::Serialize;

use crate::app::{App, OPERATOR};

/// Make an organization with an API key and a Composer token.
///
/// For an organization that exists, another key and token are added.
#[derive(Debug, Args)]
pub(crate) struct SetupArguments {
    /// Its name in URLs: lower-case letters, digits and hyphens
    #[arg(long, value_name = "NAME")]
    organization: String,
    /// Its owner's e-mail address, who becomes a member of the team "Owners"
    #[arg(long, value_name = "ADDRESS")]
    email: Option<String>,
}

/// What `--json` prints, with exactly these keys.
#[derive(Debug, Serialize)]
struct Made {
    organization: String,
    repository_url: String,
    api_key: String,
    api_secret: String,
    composer_token: String,
}

impl SetupArguments {
    pub(crate) async fn run(self, app: &App) -> anyhow::Result<()> {
        let email = self.email.as_deref();
        let setup = organization::setup(&app.registry, OPERATOR, &self.organization, email).await?;
        let slug = setup.organization.slug;
        let made = Made {
            repository_url: app.registry.repository_url(&slug),
            organization: slug,
            api_key: setup.api_key,
            api_secret: setup.api_secret.expose_secret().to_owned(),
            composer_token: setup.composer_token.expose_secret().to_owned(),
        };
        app.output.item(&made, &made.for_people())?;
        Ok(())
    }
}

impl Made {
    fn for_people(&self) -> String {
        let Self {
            organization,
            repository_url,
            api_key,
            api_secret,
            composer_token,
        } = self;
        format!(
            "organization    {organization}\n\
             repository URL  {repository_url}\n\
             API key         {api_key}\n\
             API secret      {api_secret}\n\
             Composer token  {composer_token}\n\
             \n\
             The secret and the token are not shown again.\n\
             Next: kapelle package add URL --organization {organization} --wait"
        )
    }
}
