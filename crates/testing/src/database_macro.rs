//! Runs one test on SQLite and on PostgreSQL.

/// Turns each `async fn name(url: String) { … }` into two tests, `name::sqlite` and `name::postgres`, which call it with
/// the URL of an empty database of their own.
#[macro_export]
macro_rules! on_both_databases {
    ($($(#[$attribute:meta])* async fn $name:ident($url:ident: String) $body:block)*) => {$(
        mod $name {
            #[allow(unused_imports, reason = "a body may need nothing from outside")]
            use super::*;

            $(#[$attribute])*
            async fn body($url: String) $body

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn sqlite() {
                let folder = $crate::database_macro::folder();
                body(format!("sqlite:{}", folder.path().join("kapelle.db").display())).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn postgres() {
                let database = $crate::postgres::TestPostgres::create().await;
                body(database.url().to_owned()).await;
            }
        }
    )*};
}

/// A temporary folder, for the macro.
#[doc(hidden)]
#[must_use]
pub fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a temporary folder")
}
