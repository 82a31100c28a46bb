//! What the tests of every crate stand on: databases, git repositories, servers, real Composer, the binary under test.

pub mod composer;
pub mod database_macro;
pub mod full_disk;
pub mod fuzz;
pub mod git;
pub mod git_daemon;
pub mod git_fault;
pub mod git_server;
pub mod postgres;
pub mod process;
pub mod s3;
pub mod s3_fault;
pub mod ssh_server;
pub mod tcp_proxy;
