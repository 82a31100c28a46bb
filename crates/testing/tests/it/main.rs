//! Tests of the test fixtures themselves, and of the workspace's shape.

mod architecture;
mod composer;
mod documentation;
mod named_tests;
mod process;
mod s3;
mod tcp_proxy;
