//! Commands that are killed and then given again: what they change is changed once, and wholly.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;

use serde_json::{Value, json};

use super::points::Hits;
use super::upstream::{PACKAGE, Shape, Upstream};
use super::world::{Kill, PUBLIC_URL, arm, copy, take_hits};
use crate::world::Installation;

/// An installation that is taken from command to command.
#[derive(Debug)]
pub(super) struct Desk {
    installation: Installation,
    upstream: Upstream,
}

/// What operators do, in this order.
pub(super) const COMMANDS: [&[&str]; 8] = [
    &["setup", "--organization", "acme"],
    &["package", "add", "URL"],
    &["package", "sync", "--all", "--wait"],
    &["package", "remove", PACKAGE],
    &["package", "undo", PACKAGE],
    &["package", "remove", PACKAGE],
    &["package", "purge", PACKAGE, "--yes"],
    &["keys", "rotate"],
];

impl Desk {
    pub(super) fn new() -> Self {
        Self {
            installation: Installation::new().set("KAPELLE_SERVER__PUBLIC_URL", PUBLIC_URL),
            upstream: Upstream::new(Shape::Small),
        }
    }

    /// Gives a command that comes to its end; gives the points that it reached.
    pub(super) async fn give(&self, command: &[&str]) -> Hits {
        let log = self.installation.folder().join("points.log");
        let mut process = self.command(command);
        arm(&mut process, None, Some(&log));
        let output = tokio::process::Command::from(process).output().await;
        let output = output.expect("the binary runs");
        assert!(output.status.success(), "{command:?}: {output:?}");
        take_hits(&log)
    }

    /// Gives a command that is killed, and then the same again; says whether it was.
    pub(super) async fn give_twice(&self, command: &[&str], kill: &Kill) -> bool {
        let mut process = self.command(command);
        arm(&mut process, Some(kill), None);
        let output = tokio::process::Command::from(process).output().await;
        let killed = output.expect("the binary runs").status.signal() == Some(9);
        let again = tokio::process::Command::from(self.command(command))
            .output()
            .await;
        let again = again.expect("the binary runs");
        // It may have been done already: then it is refused with a sentence.
        assert!(again.status.code().is_some(), "{command:?}: {again:?}");
        killed
    }

    /// Keeps the data folder as it is now.
    pub(super) fn save(&self) {
        let saved = self.saved();
        if saved.exists() {
            fs::remove_dir_all(&saved).expect("the folder can be removed");
        }
        if self.installation.data().exists() {
            copy(&self.installation.data(), &saved);
        }
    }

    /// Makes the data folder what it was when it was saved.
    pub(super) fn take_back(&self) {
        if self.installation.data().exists() {
            fs::remove_dir_all(self.installation.data()).expect("the folder can be removed");
        }
        if self.saved().exists() {
            copy(&self.saved(), &self.installation.data());
        }
    }

    /// Everything that the commands are about, and whether anything is broken.
    pub(super) async fn state(&self) -> BTreeMap<&'static str, Value> {
        let mut state = BTreeMap::new();
        let organizations = self.installation.json(&["organization", "list"]).await;
        let slugs = organizations.as_array().expect("a list").iter();
        let slugs: Vec<_> = slugs.map(|one| one["slug"].clone()).collect();
        state.insert("organizations", json!(slugs));
        if !slugs.is_empty() {
            let named = |list: &Value| {
                let list = list.as_array().expect("a list").iter();
                list.map(|one| json!([one["id"], one["name"], one["versions"]]))
                    .collect::<Value>()
            };
            let live = self.installation.json(&["package", "list"]).await;
            state.insert("live", named(&live));
            let removed = ["package", "list", "--removed"];
            state.insert("removed", named(&self.installation.json(&removed).await));
        }
        let verified = self.installation.run(&["verify", "--json"]).await;
        let report: Value = serde_json::from_str(&verified.stdout)
            .unwrap_or_else(|error| panic!("this is not JSON ({error}): {verified:#?}"));
        state.insert("broken", report["broken"].clone());
        state.insert("archives", report["checked"]["archives"].clone());
        state
    }

    fn command(&self, arguments: &[&str]) -> std::process::Command {
        let url = self.upstream.url();
        let arguments: Vec<&str> = arguments
            .iter()
            .map(|argument| if *argument == "URL" { &url } else { *argument })
            .collect();
        self.installation.command(&arguments)
    }

    fn saved(&self) -> PathBuf {
        self.installation.folder().join("saved")
    }
}
