//! What the tests of every crate stand on: databases, git repositories, servers, real Composer, the binary under test.

pub mod composer;
pub mod database_macro;
pub mod postgres;
pub mod process;
pub mod s3;
