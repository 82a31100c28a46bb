//! Install statistics: what Composer reports is counted, and survives the end of the server.

use kapelle_testing::composer::Composer;
use serde_json::json;

use super::library::{Library, install_anew};
use super::world::World;

#[tokio::test(flavor = "multi_thread")]
async fn installs_are_counted_and_written_when_the_server_ends() {
    let mut world = World::start().await;
    let organization = world.organization("acme").await;
    let core = Library::with_releases("acme/core", &["1.0.0"]);
    let kit = Library::new("acme/kit").set("require", json!({"acme/core": "^1.0"}));
    kit.release("1.0.0");
    organization.publish(&[&core, &kit]).await;
    let before = organization.show("acme/core").await;
    assert_eq!(before["installs"], 0);

    let composers = Composer::all();
    for composer in &composers {
        let only_core = organization.project(composer).require("acme/core", "^1.0");
        only_core.run(["update"]).await.succeeded();
        let both = organization.project(composer).require("acme/kit", "^1.0");
        both.run(["update"]).await.succeeded();
        both.run(["update"]).await.succeeded();
        install_anew(&both).await;
    }
    world.stop().await;

    let core = organization.show("acme/core").await;
    let kit = organization.show("acme/kit").await;
    assert_eq!(core["installs"], 3 * composers.len());
    assert_eq!(kit["installs"], 2 * composers.len());
}
