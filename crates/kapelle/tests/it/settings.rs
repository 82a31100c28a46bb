//! `kapelle config …`, and how every command speaks about settings that are wrong.

use serde_json::Value;

use crate::world::Installation;

#[tokio::test]
async fn wrong_settings_stop_every_command_with_code_2_and_all_mistakes() {
    let installation = Installation::new().set("KAPELLE_SERVER__LISTN", "x");
    let file = installation.folder().join("settings.toml");
    std::fs::write(&file, "[server]\nlisten = 80\n\n[jobs]\nslot = 3\n").unwrap();
    for command in [&["package", "list"][..], &["config", "check"], &["serve"]] {
        let sentence = installation
            .run(&[command, &["--config", "settings.toml"]].concat())
            .await
            .refused(2);
        assert_eq!(
            sentence,
            "settings.toml:5: jobs.slot is not a setting; did you mean jobs.slots?\n\
             KAPELLE_SERVER__LISTN is not a setting; did you mean KAPELLE_SERVER__LISTEN?\n\
             settings.toml:2: server.listen: 80 is not an address with a port, such as 127.0.0.1:8080",
        );
    }
    assert!(!installation.data().exists(), "nothing was opened");
}

#[tokio::test]
async fn a_named_file_must_be_there() {
    let installation = Installation::new();
    let sentence = installation
        .run(&["config", "check", "--config", "no.toml"])
        .await
        .refused(2);
    assert_eq!(
        sentence,
        "the configuration file no.toml cannot be read: No such file or directory (os error 2)"
    );
}

#[tokio::test]
async fn every_value_is_shown_with_its_origin_and_secrets_are_not() {
    let installation = Installation::new()
        .set("KAPELLE_METRICS__TOKEN", "hunter2")
        .set(
            "DATABASE_URL",
            "postgres://me:hunter2@db.example.com/kapelle",
        );
    std::fs::create_dir(installation.data()).unwrap();
    std::fs::write(
        installation.data().join("kapelle.toml"),
        "[network]\nallow = [\"10.1.0.0/16\"]\n",
    )
    .unwrap();
    let shown = installation.run(&["config", "show"]).await.succeeded();
    assert!(!shown.stdout.contains("hunter2"), "{}", shown.stdout);

    let shown = installation.json(&["config", "show"]).await;
    let find = |key: &str| -> (Value, Value) {
        let all = shown.as_array().expect("an array");
        let one = all
            .iter()
            .find(|one| one["key"] == key)
            .expect("the setting");
        (one["value"].clone(), one["origin"].clone())
    };
    assert_eq!(
        find("metrics.token"),
        ("***".into(), "KAPELLE_METRICS__TOKEN".into())
    );
    assert_eq!(
        find("database.url"),
        (
            "postgres://me:***@db.example.com/kapelle".into(),
            "DATABASE_URL".into()
        )
    );
    assert_eq!(
        find("network.allow"),
        (
            ["10.1.0.0/16"].as_slice().into(),
            "kapelle-data/kapelle.toml:2".into()
        )
    );
    assert_eq!(find("jobs.slots"), (4.into(), "default".into()));
    assert_eq!(
        find("vcs.protocols").0,
        Value::from(["https", "file"].as_slice())
    );
    installation.run(&["config", "check"]).await.succeeded();
}

#[tokio::test]
async fn a_number_past_its_bounds_on_the_command_line_is_wrong_usage() {
    let installation = Installation::new();
    let sentence = installation
        .run(&["worker", "--slots", "none"])
        .await
        .refused(2);
    assert_eq!(
        sentence,
        "--slots: jobs.slots: \"none\" is not a whole number from 1"
    );
    installation
        .run(&["job", "list", "--limit", "0"])
        .await
        .refused(2);
    installation.run(&["package"]).await.refused(2);
}
