//! The five sections of a composer.json that name other packages.

use std::fmt;

use indexmap::{IndexMap, IndexSet};
use serde_json::Value;

use super::Manifest;

/// A section that maps package names to version constraints.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Link {
    Require,
    RequireDev,
    Conflict,
    Provide,
    Replace,
}

impl Link {
    /// All sections, in the order Composer loads them.
    pub const ALL: [Self; 5] = [
        Self::Require,
        Self::Conflict,
        Self::Provide,
        Self::Replace,
        Self::RequireDev,
    ];

    /// The section's key in composer.json.
    pub fn key(self) -> &'static str {
        match self {
            Self::Require => "require",
            Self::RequireDev => "require-dev",
            Self::Conflict => "conflict",
            Self::Provide => "provide",
            Self::Replace => "replace",
        }
    }
}

impl fmt::Display for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.key())
    }
}

impl Manifest {
    /// A section's names, in lower case, with their constraints as written (`self.version` included).
    /// Of names that differ only in case the last constraint counts; what is no string is left out.
    pub fn links(&self, section: Link) -> Vec<(String, String)> {
        let mut links = IndexMap::new();
        if let Some(Value::Object(map)) = self.set(section.key()) {
            for (name, constraint) in map {
                if let Value::String(constraint) = constraint {
                    links.insert(name.to_ascii_lowercase(), constraint.clone());
                }
            }
        }
        links.into_iter().collect()
    }

    /// The names that this package stands in for, by `provide` or `replace`, in lower case, each once.
    pub fn provided_names(&self) -> Vec<String> {
        let names: IndexSet<String> = [Link::Provide, Link::Replace]
            .into_iter()
            .flat_map(|section| self.links(section))
            .map(|(name, _)| name)
            .collect();
        names.into_iter().collect()
    }
}
