//! `[jobs]`: the work in the background.

use super::section::section;

section! {
    /// The work in the background: synchronizing packages and building archives.
    jobs: Jobs {
        /// How many jobs this process runs at once.
        slots: usize = 4,
    }
}
