//! The Composer format without any input or output: names, versions, constraints, manifests.

pub mod version;

pub use version::{InvalidVersion, Stability, Version};
