//! Archives: dists are written so that the same tree always gives the same bytes, uploads are read without trust.
//!
//! Everything here is synchronous: callers use `spawn_blocking`. Nothing is ever extracted to disk.

mod dist;
mod error;
mod limits;
mod name;
mod root_file;
mod tarball;

pub use dist::{DistBuilder, DistOptions, DistReport, Packed, Packer, write_dist};
pub use error::ArchiveError;
pub use limits::Limits;
pub use root_file::{ArchiveKind, RootFile, read_root_file};
