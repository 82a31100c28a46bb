//! `[database]`: where the rows are.

use super::engine_url::EngineUrl;
use super::section::section;

section! {
    /// Where packages, versions, tokens and jobs are kept.
    database: Database {
        /// `sqlite:PATH` or `postgres://user:password@host/name`. Without it: `kapelle.sqlite` in the data folder.
        ///
        /// The environment variable `DATABASE_URL` is used when nothing else sets it. SQLite needs a local disk.
        url: Option<EngineUrl> = None,
    }
}
