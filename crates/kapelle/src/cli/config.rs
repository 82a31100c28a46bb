//! `kapelle config …`: the settings.

use clap::Subcommand;
use serde::Serialize;

use crate::output::{Output, Row};
use crate::settings::{self, Flags, SECTIONS};

#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Say what is wrong with the settings
    Check,
    /// Show every setting, its value and where it comes from; secrets are masked
    Show,
    /// Print the manual of the settings, in Markdown
    Reference,
}

#[derive(Debug, Serialize)]
struct Shown {
    key: String,
    value: serde_json::Value,
    origin: String,
    environment: String,
    secret: bool,
}

impl Row for Shown {
    const HEADINGS: &'static [&'static str] = &["SETTING", "VALUE", "FROM"];

    fn cells(&self) -> Vec<String> {
        let value = if self.value.is_null() {
            String::new()
        } else {
            self.value.to_string()
        };
        vec![self.key.clone(), value, self.origin.clone()]
    }
}

impl ConfigCommand {
    pub(crate) fn run(self, flags: Flags, output: Output) -> anyhow::Result<()> {
        match self {
            Self::Check => check(flags, output),
            Self::Show => show(flags, output),
            Self::Reference => Ok(Output::text(&settings::markdown())?),
        }
    }
}

fn check(flags: Flags, output: Output) -> anyhow::Result<()> {
    let loaded = settings::load(flags)?;
    let file = loaded.file.as_ref().map(|path| path.display().to_string());
    let read = file.as_deref().unwrap_or("no file");
    let text = format!(
        "the settings are right ({read}; data folder {})",
        loaded.data.display()
    );
    let value = serde_json::json!({ "file": file, "data": loaded.data.display().to_string() });
    Ok(output.item(&value, &text)?)
}

fn show(flags: Flags, output: Output) -> anyhow::Result<()> {
    let loaded = settings::load(flags)?;
    let fields = SECTIONS.iter().flat_map(|section| {
        section
            .fields
            .iter()
            .map(move |field| (section.name, field))
    });
    let shown: Vec<Shown> = fields
        .map(|(section, field)| Shown {
            key: format!("{section}.{}", field.name),
            value: (field.show)(&loaded.settings),
            origin: loaded.origin(section, field.name).to_string(),
            environment: settings::environment_name(section, field.name),
            secret: field.secret,
        })
        .collect();
    Ok(output.list(&shown, "")?)
}
