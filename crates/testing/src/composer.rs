//! Real Composer in end-to-end tests: executables, and projects that install with them.
