//! Disks and databases that fail under the whole program.

mod database;
mod disk;
