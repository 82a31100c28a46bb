//! `kapelle keys …`: the key that encrypts secrets in the database.

use clap::Subcommand;
use kapelle_registry::keys::{self, Rotated};
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
                let Rotated { sealed, unreadable } = keys::rotate(&app.registry, OPERATOR).await?;
                let mut text = format!(
                    "{sealed} secrets are encrypted with a new key: back up the key file now. The old key stays in it, so that \
                     older backups can be read; `kapelle keys retire` drops it"
                );
                if let Some(first) = unreadable.first() {
                    let count = unreadable.len();
                    text = format!(
                        "{text}. {count} secrets could not be read, such as {first}: `kapelle verify` says what to do"
                    );
                }
                let told = json!({ "encrypted": sealed, "unreadable": unreadable });
                Ok(app.output.item(&told, &text)?)
            }
            Self::Retire => {
                let dropped = keys::retire(&app.registry, OPERATOR).await?;
                let text = if dropped {
                    "only the newest key is left: older backups of the database need the old one from their own backup"
                } else {
                    "nothing needs the old keys any more: leave them out of secrets.key, for every process"
                };
                Ok(app.output.item(&json!({ "retired": dropped }), text)?)
            }
        }
    }
}
