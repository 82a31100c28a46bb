//! `serve --demo`: the printed lines work as printed, with real Composer.

use std::path::Path;
use std::process::Stdio;

use kapelle_testing::process::Process;

use crate::world::Installation;

/// What stands indented in the log, in order, once everything has been printed.
async fn printed(server: &Process) -> Vec<String> {
    server.line("repositories.packagist.org false").await;
    let log = server.log();
    log.lines()
        .filter_map(|line| line.strip_prefix("    "))
        .map(str::to_owned)
        .collect()
}

/// Runs the lines in a shell, in a folder where there is nothing; packagist.org cannot be reached from there.
async fn paste(lines: &[String], folder: &Path) {
    std::fs::create_dir(folder).expect("a new folder");
    let (optional, lines): (Vec<&String>, Vec<&String>) = lines
        .iter()
        .partition(|line| line.contains("packagist.org"));
    let (last, first) = lines.split_last().expect("lines to paste");
    let script: Vec<&str> = first
        .iter()
        .chain(&optional)
        .chain([last])
        .map(|line| line.as_str())
        .collect();
    #[expect(
        clippy::disallowed_methods,
        reason = "Composer finds PHP as the tests do"
    )]
    let path = std::env::var_os("PATH").unwrap_or_default();
    let output = tokio::process::Command::new("timeout")
        .args(["120", "sh", "-ec", &script.join("\n")])
        .current_dir(folder)
        .env_clear()
        .env("PATH", path)
        .env("HOME", folder)
        .env("COMPOSER_HOME", folder.join("composer-home"))
        .env("COMPOSER_ALLOW_SUPERUSER", "1")
        .env("COMPOSER_NO_INTERACTION", "1")
        .env("no_proxy", "127.0.0.1")
        .stdin(Stdio::null())
        .output()
        .await
        .expect("it starts");
    assert!(
        output.status.success(),
        "{script:#?}\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

async fn php(folder: &Path, code: &str) -> String {
    let output = tokio::process::Command::new("php")
        .args(["-r", code])
        .current_dir(folder)
        .output()
        .await
        .expect("it starts");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[tokio::test]
async fn the_printed_lines_install_the_demonstration_and_a_second_start_changes_nothing_but_the_token()
 {
    let installation = Installation::new().set("KAPELLE_VCS__PROTOCOLS", "https");
    let (server, _) = installation.serve(&["--demo"]).await;
    let first = printed(&server).await;
    let project = installation.folder().join("project");
    paste(&first, &project).await;
    let greet = "require 'vendor/autoload.php'; echo (new Kapelle\\Demo\\Greeting\\Greeter)->greet('Clara', 8);";
    assert_eq!(php(&project, greet).await, "Good morning, Clara!");
    assert!(
        !project
            .join("vendor/kapelle/demo-greeting/notes.txt")
            .exists()
    );

    let sync = installation
        .run(&["package", "sync", "kapelle/demo-clock", "--wait"])
        .await
        .succeeded();
    assert_eq!(sync.stdout, "kapelle/demo-clock: nothing changed\n");
    let url = format!(
        "file://{}",
        installation.data().join("demo/demo-clock.git").display()
    );
    let refused = installation.run(&["package", "add", &url]).await.refused(2);
    assert!(
        refused.contains("the protocol file is not allowed here"),
        "{refused}"
    );
    assert!(server.terminate().await.status.success());

    let (server, _) = installation.serve(&["--demo"]).await;
    let second = printed(&server).await;
    paste(&second, &installation.folder().join("second")).await;
    assert_ne!(first[2], second[2], "each start has its own token");
    assert_eq!(
        installation
            .json(&["package", "list"])
            .await
            .as_array()
            .unwrap()
            .len(),
        2
    );
    assert_eq!(
        installation
            .json(&["token", "list"])
            .await
            .as_array()
            .unwrap()
            .len(),
        1
    );
    let versions = installation
        .json(&["package", "show", "kapelle/demo-greeting"])
        .await;
    let versions: Vec<&str> = versions["versions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["version"].as_str().unwrap())
        .collect();
    assert_eq!(versions.len(), 4, "{versions:?}");
    server.terminate().await;
}

#[tokio::test]
async fn the_printed_lines_work_over_tls_and_keep_the_machine_s_own_certificates() {
    let installation = Installation::new();
    let (server, _) = installation.serve(&["--demo", "--tls-self-signed"]).await;
    let project = installation.folder().join("project");
    paste(&printed(&server).await, &project).await;
    let bundle = std::fs::read_to_string(project.join("kapelle-ca.pem")).unwrap();
    let own = std::fs::read_to_string(installation.data().join("tls/certificate.pem")).unwrap();
    assert!(bundle.contains(&own), "ours is in it");
    let certificates = bundle.matches("BEGIN CERTIFICATE").count();
    assert!(certificates > 10, "it has only {certificates} certificates");
    server.terminate().await;
}
