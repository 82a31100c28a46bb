//! `kapelle keys …`: the key that encrypts secrets in the database.

use clap::Subcommand;
use kapelle_registry::keys;
use serde_json::json;

use crate::app::{App, OPERATOR};

#[derive(Clone, Copy, Debug, Subcommand)]
pub(crate) enum KeysCommand {
    /// Make a new key and encrypt every secret with it; the old one stays for backups and can be retired later
    Rotate,
    /// Drop the old keys, once nothing needs them any more
    Retire,
}

impl KeysCommand {
    pub(crate) async fn run(self, app: &App) -> anyhow::Result<()> {
        match self {
            Self::Rotate => {
                let sealed = keys::rotate(&app.registry, OPERATOR).await?;
                let text = format!(
                    "{sealed} secrets are encrypted with a new key: back up the key file now. The old key stays in it, so that \
                     older backups can be read; `kapelle keys retire` drops it"
                );
                Ok(app.output.item(&json!({ "encrypted": sealed }), &text)?)
            }
            Self::Retire => {
                keys::retire(&app.registry, OPERATOR).await?;
                let text = "only the newest key is left: older backups of the database need the old one from their own backup";
                Ok(app.output.item(&json!({ "retired": true }), text)?)
            }
        }
    }
}
