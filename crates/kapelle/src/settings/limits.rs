//! `[limits]`: sizes and counts past which input is refused with a sentence.

use std::time::Duration;

use kapelle_registry::disk::Reserve;

use super::section::section;
use super::value::Size;

/// One mebibyte.
const MIB: u64 = 1024 * 1024;

section! {
    /// Sizes and counts past which something is refused, with a sentence that says so.
    limits: Limits {
        /// A composer.json.
        manifest: Size = Size(MIB),
        /// The body of a request.
        json_body: Size = Size(2 * MIB),
        /// How deep the JSON of a request may be nested.
        json_depth: usize = 64,
        /// An archive.
        packed: Size = Size(512 * MIB),
        /// The files of an archive together.
        unpacked: Size = Size(2048 * MIB),
        /// Files of an archive.
        entries: usize = 200_000,
        /// Answers kept in memory.
        document_cache: Size = Size(64 * MIB),
        /// Up to how many packages a repository lists all their names, which saves Composer requests.
        available_packages: usize = 10_000,
        /// How long a removed package can be restored.
        undo: Duration = Duration::from_hours(30 * 24),
        /// How much of a disk stays free, as a part of it or as a size such as `2 GiB`. With less on the disk of the data
        /// folder, the mirrors, the temporary files, the database or the archives, nothing is changed until there is
        /// room again, and the process calls itself unready; packages can still be installed. `0%` for no such rule.
        free_disk: Reserve = Reserve::Percent(5),
    }
}
