//! What clients see while disks and stores fail: whole answers or none, and a sentence.

mod disk;
mod s3;
