//! What a command works with: the settings, the opened registry, the way to the person or script that asked.

use std::path::PathBuf;

use kapelle_registry::jobs::Worker;
use kapelle_registry::{Actor, Registry, organization};
use kapelle_storage::db::facts;
use kapelle_storage::db::organizations::Organization;
use url::Url;

use crate::exit::Failure;
use crate::output::Output;
use crate::parts::{self, Opened};
use crate::settings::{Loaded, Settings};
use crate::workspace::Workspace;

/// The command line acts as the operator.
pub(crate) const OPERATOR: &Actor = &Actor::Operator;

/// Where a server answers that nobody configured.
const FALLBACK_URL: &str = "http://127.0.0.1:8080/";

/// An opened installation.
#[derive(Debug)]
pub(crate) struct App {
    /// The settings with their origins.
    pub(crate) loaded: Loaded,
    /// The data folder's full path.
    pub(crate) data: PathBuf,
    /// This process's name among those on the database.
    pub(crate) node: String,
    /// The parts by themselves.
    pub(crate) opened: Opened,
    /// The domain.
    pub(crate) registry: Registry,
    /// Standard output.
    pub(crate) output: Output,
    _workspace: Workspace,
}

impl App {
    /// Opens the installation that the settings describe.
    pub(crate) async fn open(loaded: Loaded, output: Output) -> anyhow::Result<Self> {
        let data = parts::open_data_folder(&loaded.data)?;
        let node = node_name();
        let workspace = Workspace::open(&data.join("tmp"), &node)?;
        let opened = Opened::open(&loaded.settings, &data, workspace.path()).await?;
        let public_url = public_url(&loaded.settings, &opened).await?;
        let registry = opened.registry(loaded.settings.vcs.protocols.clone(), public_url);
        registry.check_disk().await;
        for process in workspace.gone() {
            // Without its folder's lock it is dead, so nobody has to wait until its leases run out.
            let released = Worker::new(registry.clone(), process.clone())
                .release()
                .await?;
            tracing::info!(
                process,
                released,
                "what an ended process was doing is begun anew"
            );
        }
        Ok(Self {
            loaded,
            data,
            node,
            opened,
            registry,
            output,
            _workspace: workspace,
        })
    }

    /// The settings.
    pub(crate) fn settings(&self) -> &Settings {
        &self.loaded.settings
    }

    /// The organization that `--organization` names; without it the only one there is.
    pub(crate) async fn organization(&self, name: Option<&str>) -> anyhow::Result<Organization> {
        if let Some(name) = name {
            let found = organization::named(&self.registry, OPERATOR, name).await?;
            return Ok(Organization::clone(&found));
        }
        let mut all = organization::list(&self.registry, OPERATOR).await?;
        match (all.pop(), all.is_empty()) {
            (Some(only), true) => Ok(only),
            (None, _) => {
                let advice = "there is no organization yet: make one with `kapelle setup --organization NAME`";
                Err(Failure::NotFound(advice.to_owned()).into())
            }
            (Some(last), false) => {
                let names: Vec<String> =
                    all.into_iter().chain([last]).map(|one| one.slug).collect();
                let advice = format!(
                    "say which organization: --organization NAME, one of {}",
                    names.join(", ")
                );
                Err(Failure::Usage(advice).into())
            }
        }
    }
}

/// What the settings say, else what was served last, else the default address.
async fn public_url(settings: &Settings, opened: &Opened) -> anyhow::Result<Url> {
    if let Some(url) = &settings.server.public_url {
        return Ok(parts::with_slash(url.clone()));
    }
    let served = facts::get(&mut opened.database.read().await?, parts::PUBLIC_URL).await?;
    Ok(Url::parse(served.as_deref().unwrap_or(FALLBACK_URL))?)
}

/// Host, process and a random part: unique among all processes that ever lived on one database.
fn node_name() -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let plain: String = host
        .trim()
        .chars()
        .filter(|c| c.is_ascii_alphanumeric() || "-.".contains(*c))
        .collect();
    let host = if plain.is_empty() {
        "host"
    } else {
        plain.as_str()
    };
    format!(
        "{host}-{}-{}",
        std::process::id(),
        kapelle_registry::Random::from_system().hex::<3>()
    )
}
