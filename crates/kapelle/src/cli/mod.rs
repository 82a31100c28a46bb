//! The command line: what can be asked of Kapelle, one file per group of commands.

mod api_key;
mod config;
mod credential;
mod doctor;
mod hook;
mod host_key;
mod import;
mod job;
mod keys;
mod organization;
mod package;
mod package_edit;
mod package_view;
mod setup;
#[cfg(test)]
mod tests;
mod token;
mod verify;
pub(crate) mod when;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::app::App;
use crate::exit;
use crate::output::Output;
use crate::serve::{ServeArguments, WorkerArguments};
use crate::settings::{self, Flags};
use crate::{logging, serve};

pub(crate) use import::{Report, add as import_file};

/// A private Composer registry: give it git repositories, and Composer installs from it with a token.
#[derive(Debug, Parser)]
#[command(name = "kapelle", version, propagate_version = true, after_long_help = exit::HELP)]
pub(crate) struct CommandLine {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Args)]
struct Global {
    /// Folder for everything that is kept [default: `$KAPELLE_DATA` or ./kapelle-data]
    #[arg(long, global = true, value_name = "DIR", help_heading = "Everywhere")]
    data: Option<PathBuf>,
    /// Configuration file [default: `$KAPELLE_CONFIG` or kapelle.toml in the data folder]
    #[arg(long, global = true, value_name = "FILE", help_heading = "Everywhere")]
    config: Option<PathBuf>,
    /// Print JSON for scripts; lists are arrays
    #[arg(long, global = true, help_heading = "Everywhere")]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve packages over HTTP and work in the background
    Serve(ServeArguments),
    /// Work in the background only, beside servers on the same database
    Worker(WorkerArguments),
    /// Make an organization with an API key and a Composer token
    Setup(setup::SetupArguments),
    /// Check this machine, the data folder, the database and the settings
    Doctor,
    /// Check that everything that was promised is still there: rows, archives, documents and mirrors
    Verify(verify::VerifyArguments),
    /// Add the repositories of a satis.json
    Import(import::ImportArguments),
    /// Add, synchronize and remove packages
    #[command(subcommand)]
    Package(package::PackageCommand),
    /// Tokens with which Composer reaches this registry
    #[command(subcommand)]
    Token(token::TokenCommand),
    /// Keys with which programs use the management API
    #[command(subcommand)]
    ApiKey(api_key::ApiKeyCommand),
    /// Credentials with which this registry reaches repositories
    #[command(subcommand)]
    Credential(credential::CredentialCommand),
    /// The key that encrypts secrets in the database
    #[command(subcommand)]
    Keys(keys::KeysCommand),
    /// Keys by which ssh hosts are recognised
    #[command(subcommand)]
    HostKey(host_key::HostKeyCommand),
    /// Work in the background: what runs, what failed, and why
    #[command(subcommand)]
    Job(job::JobCommand),
    /// Organizations
    #[command(subcommand)]
    Organization(organization::OrganizationCommand),
    /// Addresses that hosting services call when something was pushed
    #[command(subcommand)]
    Hook(hook::HookCommand),
    /// Settings: check them, show them, read about them
    #[command(subcommand)]
    Config(config::ConfigCommand),
}

impl CommandLine {
    /// Does what is asked for.
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let output = Output::new(self.global.json);
        let flags = Flags {
            data: self.global.data,
            config: self.global.config,
            settings: self.command.settings(),
        };
        if let Command::Config(command) = self.command {
            return command.run(flags, output);
        }
        let loaded = settings::load(flags)?;
        logging::start(&loaded.settings, self.command.log_level())?;
        if let Command::Doctor = self.command {
            return doctor::run(loaded, output).await;
        }
        if let Command::Serve(arguments) = self.command {
            return Box::pin(serve::serve(arguments, loaded, output)).await;
        }
        let app = App::open(loaded, output).await?;
        match self.command {
            Command::Worker(_) => serve::worker(&app).await,
            Command::Setup(arguments) => arguments.run(&app).await,
            Command::Verify(arguments) => arguments.run(&app).await,
            Command::Import(arguments) => arguments.run(&app).await,
            Command::Package(command) => command.run(&app).await,
            Command::Token(command) => command.run(&app).await,
            Command::ApiKey(command) => command.run(&app).await,
            Command::Credential(command) => command.run(&app).await,
            Command::Keys(command) => command.run(&app).await,
            Command::HostKey(command) => command.run(&app).await,
            Command::Job(command) => command.run(&app).await,
            Command::Organization(command) => command.run(&app).await,
            Command::Hook(command) => command.run(&app).await,
            Command::Serve(_) | Command::Doctor | Command::Config(_) => Ok(()),
        }
    }
}

impl Command {
    /// The flags of this command that are settings.
    fn settings(&self) -> Vec<(&'static str, &'static str, &'static str, String)> {
        match self {
            Self::Serve(arguments) => arguments.settings(),
            Self::Worker(arguments) => arguments.settings(),
            _ => Vec::new(),
        }
    }

    fn log_level(&self) -> &'static str {
        if matches!(self, Self::Serve(_) | Self::Worker(_)) {
            "info"
        } else {
            "warn"
        }
    }
}

/// Which organization a command is about.
#[derive(Debug, Args)]
pub(crate) struct OfOrganization {
    /// Name of the organization; may be left out when there is only one
    #[arg(long, value_name = "NAME")]
    organization: Option<String>,
}

impl OfOrganization {
    async fn find(
        &self,
        app: &App,
    ) -> anyhow::Result<kapelle_storage::db::organizations::Organization> {
        app.organization(self.organization.as_deref()).await
    }
}
