//! The program on PostgreSQL.

use kapelle_testing::postgres::TestPostgres;

use crate::world::Installation;

#[tokio::test]
async fn a_start_on_a_database_that_is_up_to_date_logs_nothing_of_its_tables() {
    let database = TestPostgres::create().await;
    let installation = Installation::new()
        .set("DATABASE_URL", database.url())
        .set("KAPELLE_LOG__LEVEL", "info");
    installation
        .run(&["setup", "--organization", "acme"])
        .await
        .succeeded();
    let second = installation.run(&["package", "list"]).await.succeeded();
    assert_eq!(
        second.stderr,
        "there is no package yet: add one with `kapelle package add URL`\n"
    );
}
