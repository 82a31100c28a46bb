//! `[jobs]`: the work in the background.

use std::time::Duration;

use super::section::section;

section! {
    /// The work in the background: synchronizing packages and building archives.
    jobs: Jobs {
        /// How many jobs this process runs at once.
        slots: usize = 4,
        /// How long a job stays with a process that gives no sign of life. Then another takes it over; what the lost one still does
        /// can no longer be committed. At least 5 s.
        lease: Duration = Duration::from_mins(1),
    }
}
