//! The settings: defaults, then the file, then the environment, then flags; each value knows where it comes from.
//!
//! One file per section; a setting's doc comment is its manual. This is the only place that reads the environment.

mod api;
mod blobs;
mod check;
mod database;
mod engine_url;
mod environment;
mod file;
mod jobs;
mod limits;
mod log;
mod metrics;
mod network;
mod origin;
mod quantity;
mod reference;
mod secrets;
mod section;
mod server;
mod suggest;
#[cfg(test)]
mod tests;
mod value;
mod vcs;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

pub(crate) use environment::name as environment_name;
pub(crate) use log::LogFormat;
pub(crate) use origin::Origin;
pub(crate) use quantity::{parse_duration, show_size};
pub(crate) use reference::markdown;
pub(crate) use section::{Field, Section};
pub(crate) use server::Server;
pub(crate) use value::Raw;

/// Every section, in the order of the manual.
pub(crate) const SECTIONS: &[&Section] = &[
    &server::SECTION,
    &database::SECTION,
    &blobs::SECTION,
    &network::SECTION,
    &vcs::SECTION,
    &jobs::SECTION,
    &limits::SECTION,
    &secrets::SECTION,
    &log::SECTION,
    &metrics::SECTION,
    &api::SECTION,
];

/// The file that is read from the data folder when no other is named.
const FILE: &str = "kapelle.toml";
/// The data folder when none is named.
const DATA: &str = "kapelle-data";

/// Every setting.
#[derive(Clone, Debug, Default)]
pub(crate) struct Settings {
    pub(crate) server: server::Server,
    pub(crate) database: database::Database,
    pub(crate) blobs: blobs::Blobs,
    pub(crate) network: network::Network,
    pub(crate) vcs: vcs::Vcs,
    pub(crate) jobs: jobs::Jobs,
    pub(crate) limits: limits::Limits,
    pub(crate) secrets: secrets::Secrets,
    pub(crate) log: log::Log,
    pub(crate) metrics: metrics::Metrics,
    pub(crate) api: api::Api,
}

/// What the command line says about settings.
#[derive(Clone, Debug, Default)]
pub(crate) struct Flags {
    /// `--data`
    pub(crate) data: Option<PathBuf>,
    /// `--config`
    pub(crate) config: Option<PathBuf>,
    /// Flags that are settings: section, field, flag and value.
    pub(crate) settings: Vec<(&'static str, &'static str, &'static str, String)>,
}

/// Settings with their origins.
#[derive(Debug)]
pub(crate) struct Loaded {
    /// The values.
    pub(crate) settings: Settings,
    /// The data folder as it was named.
    pub(crate) data: PathBuf,
    /// The file that was read.
    pub(crate) file: Option<PathBuf>,
    origins: BTreeMap<(&'static str, &'static str), Origin>,
}

impl Loaded {
    /// Where a setting's value comes from.
    pub(crate) fn origin(&self, section: &'static str, field: &'static str) -> Origin {
        self.origins
            .get(&(section, field))
            .cloned()
            .unwrap_or_default()
    }
}

/// The settings cannot be used; each line says where and why.
#[derive(Debug, thiserror::Error)]
#[error("{}", faults.join("\n"))]
pub(crate) struct InvalidSettings {
    /// One sentence each.
    pub(crate) faults: Vec<String>,
}

/// A value on its way into a setting.
#[derive(Debug)]
struct Assignment {
    section: &'static str,
    field: &'static Field,
    raw: Raw,
    origin: Origin,
}

/// Loads the settings of this process.
pub(crate) fn load(flags: Flags) -> Result<Loaded, InvalidSettings> {
    load_from(flags, std::env::vars_os())
}

fn load_from(
    flags: Flags,
    variables: impl IntoIterator<Item = (OsString, OsString)>,
) -> Result<Loaded, InvalidSettings> {
    let environment = environment::read(variables);
    let data = flags
        .data
        .or(environment.data)
        .unwrap_or_else(|| DATA.into());
    let (file, text) = find_file(flags.config.or(environment.config), &data)?;
    let shown = file
        .as_deref()
        .map(|path| path.display().to_string())
        .unwrap_or_default();
    let (mut assignments, mut faults) = file::read(&shown, &text);
    let names_database = |all: &[Assignment]| {
        all.iter()
            .any(|one| one.section == "database" && one.field.name == "url")
    };
    let named = names_database(&assignments) || names_database(&environment.assignments);
    assignments.extend(environment.database_url.filter(|_| !named));
    assignments.extend(environment.assignments);
    faults.extend(environment.faults);
    assignments.extend(flags.settings.into_iter().filter_map(from_flag));

    let mut loaded = Loaded {
        settings: Settings::default(),
        data,
        file,
        origins: BTreeMap::new(),
    };
    for Assignment {
        section,
        field,
        raw,
        origin,
    } in assignments
    {
        match (field.set)(&mut loaded.settings, &raw) {
            Ok(()) => {
                loaded.origins.insert((section, field.name), origin);
            }
            Err(reason) => faults.push(format!("{origin}: {section}.{}: {reason}", field.name)),
        }
    }
    if faults.is_empty() {
        faults = check::contradictions(&loaded);
    }
    if faults.is_empty() {
        Ok(loaded)
    } else {
        Err(InvalidSettings { faults })
    }
}

fn from_flag(
    (section, name, flag, value): (&'static str, &'static str, &'static str, String),
) -> Option<Assignment> {
    let found = SECTIONS
        .iter()
        .find(|candidate| candidate.name == section)?;
    let field = found.fields.iter().find(|field| field.name == name)?;
    Some(Assignment {
        section,
        field,
        raw: Raw::Plain(value),
        origin: Origin::Flag(flag),
    })
}

/// The named file, which must be there, or the one of the data folder, which need not.
fn find_file(
    named: Option<PathBuf>,
    data: &Path,
) -> Result<(Option<PathBuf>, String), InvalidSettings> {
    let must_exist = named.is_some();
    let path = named.unwrap_or_else(|| data.join(FILE));
    match std::fs::read_to_string(&path) {
        Ok(text) => Ok((Some(path), text)),
        Err(error) if error.kind() == ErrorKind::NotFound && !must_exist => {
            Ok((None, String::new()))
        }
        Err(error) => {
            let fault = format!(
                "the configuration file {} cannot be read: {error}",
                path.display()
            );
            Err(InvalidSettings {
                faults: vec![fault],
            })
        }
    }
}
