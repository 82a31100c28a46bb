//! An S3 server inside the test process, over a temporary folder.
