//! Every operation of the contract that is answered here, in the order of a story: made, read, listed, changed, removed.
//!
//! `contract.json` has their methods, paths and samples of their answers. What has a member in a sample has it in an answer, of
//! the same kind; what may be absent is `null`.

use std::cell::RefCell;
use std::collections::BTreeSet;

use axum::http::Method;
use kapelle_testing::git::GitRepository;
use kapelle_testing::on_both_databases;
use serde::Deserialize;
use serde_json::{Value, json};

use super::archives::release;
use super::signed::Signer;
use crate::app::{Answer, TestApp};

/// Members that may be `null` whatever the sample has.
const NULLABLE: [&str; 12] = [
    "credentials",
    "credentialsId",
    "customJson",
    "defaultSuborganizationAccess",
    "distReference",
    "mirroredRepositoryId",
    "package",
    "releasedAt",
    "replacementPackage",
    "repoConfig",
    "sourceReference",
    "url",
];
/// Members that need a web page.
const LATER: [&str; 1] = ["webView"];

#[derive(Deserialize)]
struct Operation {
    id: String,
    method: String,
    path: String,
    list: bool,
    sample: Value,
}

/// Whoever plays the story.
struct Player<'a> {
    signer: Signer<'a>,
    operations: Vec<Operation>,
    played: RefCell<BTreeSet<String>>,
}

impl<'a> Player<'a> {
    fn new(app: &'a TestApp) -> Self {
        Self {
            signer: Signer::admin(app),
            operations: serde_json::from_str(include_str!("contract.json")).expect("the contract"),
            played: RefCell::default(),
        }
    }

    fn operation(&self, id: &str) -> &Operation {
        self.played.borrow_mut().insert(id.to_owned());
        let found = self.operations.iter().find(|operation| operation.id == id);
        found.unwrap_or_else(|| panic!("the contract has no {id}"))
    }

    /// The answer to an operation on that thing; its body is what the contract says.
    async fn play(&self, id: &str, about: &str, body: &Value) -> Value {
        let operation = self.operation(id);
        let answer = self.send(operation, about, body).await;
        assert_eq!(answer.status, 200, "{id}: {}", answer.text());
        assert_eq!(answer.header("content-type"), "application/json", "{id}");
        let json = answer.json();
        compare(&operation.sample, &json, id);
        if operation.list {
            assert!(answer.header("link").contains("rel=\"first\""), "{id}");
        }
        json
    }

    /// The same of an operation on what is not there.
    async fn miss(&self, id: &str, about: &str) {
        let answer = self.send(self.operation(id), about, &json!([])).await;
        assert_eq!(answer.status, 404, "{id}: {}", answer.text());
        assert!(answer.json()["message"].is_string(), "{id}");
    }

    async fn send(&self, operation: &Operation, about: &str, body: &Value) -> Answer {
        let mut about = about.split(' ');
        let mut path = String::new();
        let mut rest = operation.path.as_str();
        while let Some((before, after)) = rest.split_once('{') {
            let (_, after) = after.split_once('}').expect("a whole placeholder");
            path += before;
            path += about.next().expect("as many things as the path names");
            rest = after;
        }
        path += rest;
        // The official client sends no body for nothing.
        let body = match body {
            Value::Array(list) if list.is_empty() => String::new(),
            body => body.to_string(),
        };
        let method: Method = operation.method.parse().expect("a method");
        self.signer.json(method, &path, &body).await
    }

    async fn upload(&self, id: &str, about: &str, version: &str) -> String {
        let operation = self.operation(id);
        let path = operation.path.replace("{packageIdOrName}", about);
        let bytes = release("acme/uploaded", version);
        let answer = self.signer.upload(&path, "package.zip", &bytes).await;
        compare(&operation.sample, &answer.json(), id);
        answer.json()["id"].to_string()
    }

    /// Follows a job that was just queued to its end.
    async fn finish(&self, job: &Value) -> Value {
        self.signer.app.work().await;
        let id = job["id"].as_str().expect("a job's id");
        self.play("jobs.show", id, &json!([])).await
    }
}

fn compare(sample: &Value, answer: &Value, at: &str) {
    match (sample, answer) {
        (Value::Object(sample), Value::Object(answer)) => {
            for (key, value) in sample {
                if LATER.contains(&key.as_str()) {
                    continue;
                }
                let ours = answer.get(key);
                let ours = ours.unwrap_or_else(|| panic!("{at} has no {key}: {answer:?}"));
                let is_left_out = NULLABLE.contains(&key.as_str()) && ours.is_null();
                if !is_left_out && !value.is_null() {
                    compare(value, ours, &format!("{at}.{key}"));
                }
            }
        }
        (Value::Array(sample), Value::Array(answer)) => {
            for (index, ours) in answer.iter().enumerate() {
                if let Some(first) = sample.first() {
                    compare(first, ours, &format!("{at}[{index}]"));
                }
            }
        }
        _ => assert_eq!(
            std::mem::discriminant(sample),
            std::mem::discriminant(answer),
            "{at}: {sample} and {answer}"
        ),
    }
}

on_both_databases! {
    async fn every_operation_does_what_the_contract_says(url: String) {
        let app = TestApp::start(&url).await;
        let player = Player::new(&app);
        let nothing = json!([]);

        let new = json!({ "description": "d", "type": "http-basic", "domain": "git.example.org", "username": "me", "credential": "s3cret" });
        let credential = player.play("credentials.create", "", &new).await["id"].to_string();
        player.play("credentials.show", &credential, &nothing).await;
        let change = json!({ "username": "user", "credential": "pass", "type": "http-basic" });
        player.play("credentials.edit", &credential, &change).await;
        player.play("credentials.update", &credential, &change).await;
        assert_eq!(player.play("credentials.all", "", &nothing).await[0]["credential"], "");

        let repository = GitRepository::with_releases(&[("1.0.0", r#"{"name": "acme/lib"}"#)]);
        let vcs = json!({ "repoType": "git", "repoUrl": repository.url(), "credentials": null, "defaultSuborganizationAccess": "no-access" });
        let job = player.play("packages.createVcsPackage", "", &vcs).await;
        assert_eq!(player.finish(&job).await["status"], "success");
        let meta = json!({ "package": { "name": "acme/meta", "version": "1.0.0", "type": "metapackage", "require": { "acme/lib": "*" } } });
        let custom = json!({ "repoType": "package", "repoConfig": meta.to_string(), "credentials": null });
        let job = player.play("packages.createCustomPackage", "", &custom).await;
        assert_eq!(player.finish(&job).await["status"], "success");
        let first = player.upload("packages.artifacts.create", "", "1.0.0").await;
        let id: i64 = first.parse().unwrap();
        let uploaded = json!({ "repoType": "artifact", "artifactIds": [id] });
        let job = player.play("packages.createArtifactPackage", "", &uploaded).await;
        assert_eq!(player.finish(&job).await["package"]["name"], "acme/uploaded");
        player.upload("packages.artifacts.add", "acme/uploaded", "2.0.0").await;
        app.work().await;
        player.play("packages.artifacts.show", &first, &nothing).await;
        let all = player.play("packages.artifacts.showPackageArtifacts", "acme/uploaded", &nothing).await;
        assert_eq!(all.as_array().unwrap().len(), 2);
        for named in ["acme/lib", "acme/meta", "acme/uploaded"] {
            let shown = player.play("packages.show", named, &nothing).await;
            assert!(!shown["versions"].as_array().unwrap().is_empty(), "{shown}");
            player.play("packages.show", &shown["id"].to_string(), &nothing).await;
        }
        assert_eq!(player.play("packages.all", "", &nothing).await.as_array().unwrap().len(), 3);
        let dependents = player.play("packages.listDependents", "acme/lib", &nothing).await;
        assert_eq!(dependents[0]["name"], "acme/meta");
        for (edit, named, body) in [
            ("packages.editVcsPackage", "acme/lib", &vcs),
            ("packages.updateVcsPackage", "acme/lib", &vcs),
            ("packages.editCustomPackage", "acme/meta", &custom),
            ("packages.updateCustomPackage", "acme/meta", &custom),
            ("packages.editArtifactPackage", "acme/uploaded", &uploaded),
        ] {
            let job = player.play(edit, named, body).await;
            assert_eq!(player.finish(&job).await["status"], "success", "{edit}");
        }
        let monitored = json!({ "monitorAllBranches": false, "monitoredBranches": ["dev-main"] });
        player.play("packages.editSecurityMonitoringConfig", "acme/lib", &monitored).await;
        player.play("packages.showSecurityMonitoringConfig", "acme/lib", &nothing).await;
        for empty in ["packages.listCustomers", "packages.listSecurityIssues"] {
            assert_eq!(player.play(empty, "acme/lib", &nothing).await, nothing);
        }
        for empty in ["securityIssues.all", "synchronizations.all", "organization.sync"] {
            assert_eq!(player.play(empty, "", &nothing).await, nothing);
        }
        player.miss("securityIssues.show", "12").await;
        player.miss("securityIssues.open", "12").await;
        player.miss("securityIssues.close", "12 resolved").await;

        let mirror = json!({ "name": "Name", "url": "https://repo.example.org/", "mirroringBehavior": "add_on_use", "credentials": null });
        let mirrored = player.play("mirroredRepositories.create", "", &mirror).await["id"].to_string();
        player.play("mirroredRepositories.show", &mirrored, &nothing).await;
        player.play("mirroredRepositories.edit", &mirrored, &mirror).await;
        player.play("mirroredRepositories.all", "", &nothing).await;
        let jobs = player.play("mirroredRepositories.addPackages", &mirrored, &json!(["acme/pkg"])).await;
        assert_eq!(player.finish(&jobs[0]).await["status"], "error");
        assert_eq!(player.play("mirroredRepositories.listPackages", &mirrored, &nothing).await, nothing);
        player.play("mirroredRepositories.removePackages", &mirrored, &nothing).await;
        player.play("mirroredRepositories.remove", &mirrored, &nothing).await;
        player.miss("mirroredRepositories.show", &mirrored).await;
        player.play("packages.remove", "acme/meta", &nothing).await;
        player.miss("packages.show", "acme/meta").await;
        player.play("credentials.remove", &credential, &nothing).await;
        player.miss("credentials.show", &credential).await;

        let all: BTreeSet<String> = player.operations.iter().map(|operation| operation.id.clone()).collect();
        assert_eq!(*player.played.borrow(), all, "every operation was played");
        app.verify().await;
    }

    async fn more_than_a_page_of_one_kind_is_read_by_following_the_links(url: String) {
        let app = TestApp::start(&url).await;
        let player = Player::new(&app);
        for number in 0..501 {
            let new = json!({ "type": "github-oauth", "domain": format!("h{number}.example.org"), "credential": "s3cret" });
            assert_eq!(player.signer.post("/api/credentials/", &new).await.status, 200);
        }
        let (mut next, mut seen) = (Some("/api/credentials/?limit=500".to_owned()), Vec::new());
        let mut pages = 0;
        while let Some(path) = next {
            let answer = player.signer.get(&path).await;
            seen.extend(answer.json().as_array().unwrap().iter().map(|one| one["domain"].clone()));
            pages += 1;
            // As the official client reads it.
            let links = answer.header("link").split(',').filter_map(|link| link.trim().strip_suffix("; rel=\"next\""));
            next = links.collect::<Vec<_>>().pop().map(|link| {
                let link = link.trim_start_matches('<').trim_end_matches('>');
                link.strip_prefix("https://packages.example.org").unwrap().to_owned()
            });
        }
        assert_eq!((pages, seen.len()), (2, 501));
        assert_eq!(seen[500], "h500.example.org");
    }
}
