//! The Private Packagist API as both of its sides need it: the server that answers, and the client that asks.
//!
//! A request is signed with a key's secret. [`Query`] reads its parameters as PHP does, which the signature covers in one
//! canonical form; [`Authorization`] is the header; [`Signing`] makes and checks signatures, over bodies of any size. The other types
//! are what answers hold.

mod artifact;
mod authorization;
mod credential;
mod encode;
mod job;
mod mirrored_repository;
mod package;
mod query;
mod signing;

pub use artifact::{Artifact, ArtifactDetail, PackageArtifact};
pub use authorization::{Authorization, InvalidAuthorization, Signature, SignatureVersion};
pub use credential::{Credential, CredentialChange, NewCredential};
pub use job::{Job, JobLinks};
pub use mirrored_repository::{MirroredRepository, MirroredRepositoryRequest};
pub use package::{
    Package, PackageConfig, PackageDetail, PackageLinks, PackageRef, PackageRequest,
    SecurityMonitoringConfig, Statistics, Version,
};
pub use query::{InvalidQuery, Key, Node, Query};
pub use signing::{Request, Secret, Signing};
