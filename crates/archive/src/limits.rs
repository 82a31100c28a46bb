//! How large an archive may be.

/// Limits of reading and writing; the defaults are those of the design's table of limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Files, links and directories. 200,000.
    pub entries: u64,
    /// Bytes of all files together, unpacked. 2 GiB.
    pub unpacked: u64,
    /// Bytes of the archive. 512 MiB. What is written stays below 4 GiB in any case.
    pub packed: u64,
    /// Unpacked bytes per packed byte, of archives read that unpack to more than 1 MiB. 200.
    pub ratio: u64,
    /// Segments of a path in an archive read. 64.
    pub depth: usize,
    /// Bytes of the file looked for in an archive read. 1 MiB.
    pub root_file: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            entries: 200_000,
            unpacked: 2 << 30,
            packed: 512 << 20,
            ratio: 200,
            depth: 64,
            root_file: 1 << 20,
        }
    }
}
