//! `kapelle host-key …`: the keys by which ssh hosts are recognised.

use clap::Subcommand;
use kapelle_registry::host_key::{self, KnownKey};
use serde::Serialize;

use super::when;
use crate::app::{App, OPERATOR};
use crate::output::{Row, table};

#[derive(Debug, Subcommand)]
pub(crate) enum HostKeyCommand {
    /// List the keys of ssh hosts that were accepted when they were seen first
    List,
    /// Forget a host's keys: the next synchronization accepts what it shows then
    Remove {
        /// The host, with :port where the repository's URL has one
        host: String,
    },
}

#[derive(Debug, Serialize)]
struct Shown {
    host: String,
    algorithm: String,
    fingerprint: String,
    accepted_at: String,
}

impl From<KnownKey> for Shown {
    fn from(key: KnownKey) -> Self {
        Self {
            host: key.host,
            algorithm: key.algorithm,
            fingerprint: key.fingerprint,
            accepted_at: when::rfc3339(key.accepted_at),
        }
    }
}

impl Row for Shown {
    const HEADINGS: &'static [&'static str] = &["HOST", "ALGORITHM", "FINGERPRINT", "ACCEPTED"];

    fn cells(&self) -> Vec<String> {
        vec![
            self.host.clone(),
            self.algorithm.clone(),
            self.fingerprint.clone(),
            self.accepted_at.clone(),
        ]
    }
}

#[derive(Debug, Serialize)]
struct Removed {
    removed: Vec<Shown>,
}

impl HostKeyCommand {
    pub(crate) async fn run(self, app: &App) -> anyhow::Result<()> {
        match self {
            Self::List => {
                let keys = host_key::list(&app.registry, OPERATOR).await?;
                let shown: Vec<Shown> = keys.into_iter().map(Shown::from).collect();
                Ok(app.output.list(&shown, "no ssh host was seen yet")?)
            }
            Self::Remove { host } => {
                let keys = host_key::remove(&app.registry, OPERATOR, &host).await?;
                let removed = Removed {
                    removed: keys.into_iter().map(Shown::from).collect(),
                };
                let text = format!(
                    "{}\n\nforgotten; the next synchronization accepts the key that {host} shows then",
                    table(&removed.removed)
                );
                Ok(app.output.item(&removed, &text)?)
            }
        }
    }
}
