//! The data folder and who may use it.

use std::os::unix::fs::chown;

use serde_json::Value;

use crate::world::Installation;

/// A user of no machine's.
const STRANGER: u32 = 65_533;

/// The doctor's line about the folder.
async fn diagnosis(installation: &Installation) -> (String, String) {
    let ran = installation.run(&["doctor", "--json"]).await;
    let checks: Vec<Value> = serde_json::from_str(&ran.stdout).expect("a list of checks");
    let check = checks.iter().find(|check| check["name"] == "data folder");
    let check = check.expect("the check of the data folder");
    (check["verdict"].to_string(), check.to_string())
}

#[tokio::test]
async fn a_data_folder_of_another_user_is_refused_with_the_command_that_works() {
    let installation = Installation::with_organization().await;
    if chown(installation.data(), Some(STRANGER), None).is_err() {
        // Only root can give a folder away; the rule has a test of its own.
        return;
    }
    let before = std::fs::read_dir(installation.data()).unwrap().count();
    for command in [&["package", "list"][..], &["serve", "--demo"], &["worker"]] {
        let sentence = installation.run(command).await.refused(1);
        assert!(
            sentence.contains("kapelle-data belongs to user 65533, and this runs as root")
                && sentence.ends_with("run it as its owner: `sudo -u '#65533' kapelle …`"),
            "{command:?}: {sentence}"
        );
    }
    let (verdict, check) = diagnosis(&installation).await;
    assert!(
        verdict == "\"fail\"" && check.contains("sudo -u '#65533'"),
        "{check}"
    );
    let after = std::fs::read_dir(installation.data()).unwrap().count();
    assert_eq!(before, after, "nothing was written there");
}

#[tokio::test]
async fn the_doctor_finds_what_another_user_left_in_the_data_folder() {
    let installation = Installation::with_organization().await;
    let left = installation.data().join("mirrors/7.git");
    std::fs::create_dir(&left).unwrap();
    assert_eq!(diagnosis(&installation).await.0, "\"ok\"");
    if chown(&left, Some(STRANGER), None).is_err() {
        return;
    }
    let (verdict, check) = diagnosis(&installation).await;
    assert!(
        verdict == "\"fail\""
            && check.contains("mirrors/7.git belongs to user 65533")
            && check.contains("chown -R"),
        "{check}"
    );
}

#[tokio::test]
async fn what_cannot_be_used_in_the_data_folder_is_named() {
    let installation = Installation::with_organization().await;
    let temporary = installation.data().join("tmp");
    std::fs::remove_dir_all(&temporary).unwrap();
    std::fs::write(&temporary, "in the way").unwrap();
    let sentence = installation.run(&["package", "list"]).await.refused(1);
    assert!(
        sentence.contains("kapelle-data/tmp cannot be used: "),
        "{sentence}"
    );
}
