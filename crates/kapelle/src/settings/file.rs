//! The configuration file: TOML, read key by key so that every complaint has its line.

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::origin::Origin;
use super::suggest::nearest;
use super::value::Raw;
use super::{Assignment, SECTIONS};

/// The settings of a file in their order, and what is wrong with it.
pub(super) fn read(path: &str, text: &str) -> (Vec<Assignment>, Vec<String>) {
    let mut file = File {
        path,
        text,
        assignments: Vec::new(),
        faults: Vec::new(),
    };
    match DeTable::parse(text) {
        Ok(table) => file.read_sections(table.get_ref()),
        Err(error) => {
            let at = file.at(error.span().map_or(0, |span| span.start));
            file.faults
                .push(format!("{at}: this is not TOML: {}", error.message()));
        }
    }
    (file.assignments, file.faults)
}

struct File<'f> {
    path: &'f str,
    text: &'f str,
    assignments: Vec<Assignment>,
    faults: Vec<String>,
}

impl File<'_> {
    fn at(&self, offset: usize) -> Origin {
        let before = self.text.get(..offset).unwrap_or(self.text);
        let line = 1 + before.matches('\n').count();
        Origin::File {
            path: self.path.to_owned(),
            line,
        }
    }

    fn read_sections(&mut self, table: &DeTable<'_>) {
        for (key, value) in table {
            let name: &str = key.get_ref();
            let at = self.at(key.span().start);
            match (
                SECTIONS.iter().find(|section| section.name == name),
                value.get_ref(),
            ) {
                (Some(section), DeValue::Table(fields)) => self.read_fields(section, fields),
                (Some(_), _) => self.faults.push(format!(
                    "{at}: {name} is a section: write [{name}] above its settings"
                )),
                (None, _) => self.faults.push(format!("{at}: {}", unknown_section(name))),
            }
        }
    }

    fn read_fields(&mut self, section: &super::Section, fields: &DeTable<'_>) {
        for (key, value) in fields {
            let name: &str = key.get_ref();
            let at = self.at(key.span().start);
            match section.fields.iter().find(|field| field.name == name) {
                Some(field) => {
                    let raw = raw(value);
                    self.assignments.push(Assignment {
                        section: section.name,
                        field,
                        raw,
                        origin: at,
                    });
                }
                None => self
                    .faults
                    .push(format!("{at}: {}", unknown_field(section, name))),
            }
        }
    }
}

fn unknown_section(name: &str) -> String {
    let known = SECTIONS.iter().map(|section| section.name);
    match nearest(name, known.clone()) {
        Some(meant) => format!("{name} is not a section; did you mean {meant}?"),
        None => format!("{name} is not a section; there are {}", listed(known)),
    }
}

fn unknown_field(section: &super::Section, name: &str) -> String {
    let known = section.fields.iter().map(|field| field.name);
    let (section, known_names) = (section.name, listed(known.clone()));
    match nearest(name, known) {
        Some(meant) => {
            format!("{section}.{name} is not a setting; did you mean {section}.{meant}?")
        }
        None => format!("{section}.{name} is not a setting; {section} has {known_names}"),
    }
}

fn listed<'n>(names: impl Iterator<Item = &'n str>) -> String {
    names.collect::<Vec<_>>().join(", ")
}

fn raw(value: &Spanned<DeValue<'_>>) -> Raw {
    match value.get_ref() {
        DeValue::String(text) => Raw::Text(text.to_string()),
        DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix())
            .map_or(Raw::Other("a number of that size"), Raw::Integer),
        DeValue::Boolean(flag) => Raw::Boolean(*flag),
        DeValue::Array(items) => Raw::List(items.iter().map(raw).collect()),
        DeValue::Float(_) => Raw::Other("a number with a fraction"),
        DeValue::Datetime(_) => Raw::Other("a date"),
        DeValue::Table(_) => Raw::Other("a table"),
    }
}
