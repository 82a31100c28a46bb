//! Tests of the test fixtures themselves, and of the workspace's shape.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot go on fails with the place"
)]

mod architecture;
mod composer;
mod documentation;
mod named_tests;
mod process;
mod s3;
mod tcp_proxy;
