//! The environment: `KAPELLE_SECTION__FIELD`, and `DATABASE_URL` when nothing else names a database.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

use super::origin::Origin;
use super::suggest::nearest;
use super::value::Raw;
use super::{Assignment, Field, SECTIONS};

/// What the environment says.
#[derive(Debug, Default)]
pub(super) struct Environment {
    pub(super) assignments: Vec<Assignment>,
    pub(super) faults: Vec<String>,
    /// `KAPELLE_DATA`
    pub(super) data: Option<PathBuf>,
    /// `KAPELLE_CONFIG`
    pub(super) config: Option<PathBuf>,
    /// `DATABASE_URL`
    pub(super) database_url: Option<Assignment>,
}

/// Picks our variables; those of `KAPELLE_…__…` that name no setting are faults, all others are somebody else's.
pub(super) fn read(variables: impl IntoIterator<Item = (OsString, OsString)>) -> Environment {
    let mut environment = Environment::default();
    let mut variables: Vec<_> = variables.into_iter().collect();
    variables.sort();
    for (name, value) in variables {
        match name.to_str() {
            Some("KAPELLE_DATA") => environment.data = not_empty(value),
            Some("KAPELLE_CONFIG") => environment.config = not_empty(value),
            Some(name @ "DATABASE_URL") => {
                let url = text(name, &value, &mut environment.faults).filter(|url| !url.is_empty());
                environment.database_url = url
                    .zip(find("KAPELLE_DATABASE__URL"))
                    .map(|(url, (section, field))| assignment(section, field, name, url));
            }
            Some(name) if name.starts_with("KAPELLE_") && name.contains("__") => {
                let value = text(name, &value, &mut environment.faults);
                match (find(name), value) {
                    (Some((section, field)), Some(value)) => {
                        environment
                            .assignments
                            .push(assignment(section, field, name, value));
                    }
                    (Some(_), None) => {}
                    (None, _) => environment.faults.push(unknown(name)),
                }
            }
            _ => {}
        }
    }
    environment
}

/// The variable of a setting.
pub(crate) fn name(section: &str, field: &str) -> String {
    format!(
        "KAPELLE_{}__{}",
        section.to_uppercase(),
        field.to_uppercase()
    )
}

fn all() -> impl Iterator<Item = (String, &'static str, &'static Field)> {
    SECTIONS.iter().flat_map(|section| {
        section
            .fields
            .iter()
            .map(move |field| (name(section.name, field.name), section.name, field))
    })
}

fn find(wanted: &str) -> Option<(&'static str, &'static Field)> {
    all()
        .find(|(name, ..)| name == wanted)
        .map(|(_, section, field)| (section, field))
}

fn assignment(
    section: &'static str,
    field: &'static Field,
    name: &str,
    value: String,
) -> Assignment {
    Assignment {
        section,
        field,
        raw: Raw::Plain(value),
        origin: Origin::Environment(name.to_owned()),
    }
}

fn unknown(name: &str) -> String {
    let known: Vec<String> = all().map(|(name, ..)| name).collect();
    match nearest(name, known.iter().map(String::as_str)) {
        Some(meant) => format!("{name} is not a setting; did you mean {meant}?"),
        None => format!("{name} is not a setting; `kapelle config show` lists them all"),
    }
}

fn text(name: &str, value: &OsStr, faults: &mut Vec<String>) -> Option<String> {
    let text = value.to_str().map(str::to_owned);
    if text.is_none() {
        faults.push(format!("{name}: the value is not UTF-8"));
    }
    text
}

fn not_empty(value: OsString) -> Option<PathBuf> {
    (!value.is_empty()).then(|| value.into())
}
