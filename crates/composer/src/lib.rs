//! The Composer format without any input or output: names, versions, constraints, manifests.

pub mod constraint;
pub mod exclude;
mod json;
pub mod lock;
pub mod manifest;
pub mod metadata;
pub mod minify;
pub mod name;
mod text;
pub mod vcs;
pub mod version;

pub use constraint::{Constraint, InvalidConstraint};
pub use exclude::ArchiveExclude;
pub use json::{InvalidJson, Limits, json_depth};
pub use lock::LockFile;
pub use manifest::{Abandoned, Link, Manifest, ManifestError};
pub use metadata::{Dist, Source, VersionObject};
pub use name::{InvalidName, MAX_NAME_BYTES, PackageName, is_platform};
pub use text::printable;
pub use vcs::{BranchVersion, InvalidRef, TagVersion, branch_version, tag_matches, tag_version};
pub use version::{InvalidVersion, Stability, Version};
