//! Change hooks: a tag that was just pushed is installable without anybody waiting for the next round.

use std::io::Write;
use std::process::{Command, Stdio};

use kapelle_testing::composer::Composer;
use kapelle_testing::git_server::GitServer;
use serde_json::{Value, json};

use super::library::{Library, says};
use super::organization::{Organization, client};
use super::world::{World, eventually};

/// A library on a git server, published, with the organization's hooks.
struct Hooked {
    core: Library,
    server: GitServer,
    organization: Organization,
    hooks: Value,
}

impl Hooked {
    async fn new(world: &World) -> Self {
        let organization = world.organization("acme").await;
        let core = Library::with_releases("acme/core", &["1.0.0"]);
        let server = GitServer::of(&core.repository).await;
        let url = server.url("acme/lib.git");
        organization.add(&url).await.succeeded();
        let hooks = organization.run(&["hook", "show"]).await.succeeded().json();
        Self {
            core,
            server,
            organization,
            hooks,
        }
    }

    fn secret(&self) -> &str {
        self.hooks["secret"].as_str().expect("the secret")
    }

    fn url(&self, provider: &str) -> String {
        let hooks = self.hooks["hooks"].as_array().expect("a list of hooks");
        let hook = hooks.iter().find(|hook| hook["provider"] == provider);
        let url = hook.expect("the provider")["url"].as_str();
        url.expect("its URL").to_owned()
    }

    /// GitHub's push event, as far as it matters.
    fn push(&self) -> String {
        let url = self.server.url("acme/lib");
        let repository = json!({
            "full_name": "acme/lib", "html_url": url, "clone_url": format!("{url}.git"),
            "ssh_url": "git@127.0.0.1:acme/lib.git",
        });
        json!({"ref": "refs/tags/1.1.0", "repository": repository}).to_string()
    }

    async fn is_published(&self, version: &str) {
        let look = async || {
            let versions = self.organization.versions("acme/core").await;
            versions.iter().any(|one| one == version).then_some(())
        };
        eventually(&format!("version {version}"), look).await;
    }
}

/// The header that proves who sends a body.
type Proof = Box<dyn Fn(&str) -> (String, String)>;

/// HMAC-SHA-256 in hexadecimal, by PHP.
fn signature(secret: &str, body: &str) -> String {
    let script = "echo hash_hmac('sha256', stream_get_contents(STDIN), $argv[1]);";
    let mut php = Command::new("php")
        .args(["-r", script, secret])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("php runs");
    let mut stdin = php.stdin.take().expect("stdin was piped just above");
    stdin.write_all(body.as_bytes()).expect("php reads");
    drop(stdin);
    let output = php.wait_with_output().expect("php ends");
    String::from_utf8(output.stdout).expect("hexadecimal digits")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pushed_tag_is_installable_after_githubs_signed_hook() {
    let world = World::start().await;
    let hooked = Hooked::new(&world).await;
    hooked.core.release("1.1.0");
    let body = hooked.push();

    let response = client()
        .post(hooked.url("github"))
        .header("content-type", "application/json")
        .header("x-github-event", "push")
        .header(
            "x-hub-signature-256",
            format!("sha256={}", signature(hooked.secret(), &body)),
        )
        .body(body)
        .send()
        .await
        .expect("the server answers");
    assert_eq!(
        response.status().as_u16(),
        202,
        "{:?}",
        response.text().await
    );
    hooked.is_published("1.1.0").await;

    for composer in Composer::all() {
        let project = hooked
            .organization
            .project(&composer)
            .require("acme/core", "^1.0");
        project.run(["update"]).await.succeeded();
        assert_eq!(says(&project, "acme/core"), "1.1.0");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_provider_and_packagists_own_address_are_served() {
    let world = World::start().await;
    let hooked = Hooked::new(&world).await;
    let url = hooked.server.url("acme/lib.git");
    let links = json!({"html": {"href": hooked.server.url("acme/lib")}});
    let secret = hooked.secret().to_owned();
    let signed = |header: &'static str, prefix: &'static str| {
        let secret = secret.clone();
        move |body: &str| {
            (
                header.to_owned(),
                format!("{prefix}{}", signature(&secret, body)),
            )
        }
    };
    let shown =
        |header: &'static str, value: String| move |_: &str| (header.to_owned(), value.clone());
    let update = world.url(&format!(
        "/api/update-package?username=acme&apiToken={}",
        hooked.organization.token
    ));
    let cases: Vec<(String, Value, Proof)> = vec![
        (
            hooked.url("gitlab"),
            json!({"object_kind": "tag_push", "project": {"git_http_url": url}}),
            Box::new(shown("x-gitlab-token", secret.clone())),
        ),
        (
            hooked.url("gitea"),
            json!({"repository": {"clone_url": url}}),
            Box::new(signed("x-gitea-signature", "")),
        ),
        (
            hooked.url("bitbucket"),
            json!({"repository": {"links": links}}),
            Box::new(signed("x-hub-signature", "sha256=")),
        ),
        (
            hooked.url("generic"),
            json!({"repository": url}),
            Box::new(shown("authorization", format!("Bearer {secret}"))),
        ),
        (
            update,
            json!({"repository": {"url": url}}),
            Box::new(shown("x-nothing", "x".to_owned())),
        ),
    ];
    for (minor, (address, body, proof)) in cases.into_iter().enumerate() {
        let version = format!("1.{}.0", minor + 1);
        hooked.core.release(&version);
        let body = body.to_string();
        let (header, value) = proof(&body);
        let response = client()
            .post(&address)
            .header("content-type", "application/json")
            .header(header, value)
            .body(body)
            .send()
            .await
            .expect("the server answers");
        assert_eq!(
            response.status().as_u16(),
            202,
            "{address}: {:?}",
            response.text().await
        );
        hooked.is_published(&version).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hook_that_is_not_signed_changes_nothing() {
    let world = World::start().await;
    let hooked = Hooked::new(&world).await;
    hooked.core.release("1.1.0");
    let body = hooked.push();
    let wrong = format!("sha256={}", signature("guessed", &body));
    for (signature, expected) in [(None, 401), (Some(wrong), 403)] {
        let mut request = client()
            .post(hooked.url("github"))
            .header("content-type", "application/json")
            .header("x-github-event", "push")
            .body(body.clone());
        if let Some(signature) = signature {
            request = request.header("x-hub-signature-256", signature);
        }
        let response = request.send().await.expect("the server answers");
        assert_eq!(response.status().as_u16(), expected);
    }
    let list = ["job", "list", "--package", "acme/core"];
    let jobs = hooked.organization.run(&list).await.succeeded().json();
    let jobs = jobs.as_array().expect("a list of jobs").iter();
    let synchronizations = jobs.filter(|job| job["kind"] == "SyncPackage");
    assert_eq!(synchronizations.count(), 1);
    assert_eq!(
        hooked.organization.versions("acme/core").await,
        ["1.0.0", "dev-main"]
    );
}
