//! The integration tests of the Composer format.

mod version;
