//! A PHP project in a temporary folder that installs with one Composer from one repository.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use tempfile::TempDir;
use tokio::process::Command;

use super::{Composer, Output};

/// A PHP project in a temporary folder with a Composer home and cache of its own.
///
/// It knows one repository: packagist.org is off, and a proxy that is not there keeps every request on loopback.
#[derive(Debug)]
pub struct Project {
    composer: Composer,
    folder: TempDir,
    manifest: Map<String, Value>,
}

impl Project {
    /// A project with nothing in it but the repository at `repository`, an `http://` or `https://` URL.
    pub fn new(composer: &Composer, repository: &str) -> Self {
        let folder = TempDir::new().expect("a temporary folder for the project");
        for part in ["home", "cache", "app"] {
            fs::create_dir(folder.path().join(part)).expect("the project's folders");
        }
        let manifest = json!({
            "name": "tests/project",
            "description": "A project of the end-to-end tests.",
            "repositories": [{"type": "composer", "url": repository}, {"packagist.org": false}],
            "require": {},
            "config": {"secure-http": !repository.starts_with("http://")},
        });
        let Value::Object(manifest) = manifest else {
            unreachable!("a literal object");
        };
        let project = Self {
            composer: composer.clone(),
            folder,
            manifest,
        };
        project.write_manifest();
        project
    }

    /// Logs in to the repository's host **and port** with an `auth.json` beside composer.json.
    #[must_use]
    pub fn log_in(self, username: &str, password: &str) -> Self {
        let repository = self.manifest["repositories"][0]["url"].as_str();
        let authority = repository
            .and_then(|url| url.split("://").nth(1))
            .and_then(|rest| rest.split('/').next())
            .expect("a repository URL with a host");
        let auth = json!({"http-basic": {authority: {"username": username, "password": password}}});
        self.write("auth.json", &auth.to_string());
        self
    }

    /// Requires `package` in the version range `constraint`, in composer.json only.
    #[must_use]
    pub fn require(mut self, package: &str, constraint: &str) -> Self {
        self.manifest["require"][package] = constraint.into();
        self.write_manifest();
        self
    }

    /// Sets any other key of composer.json, such as `minimum-stability`.
    #[must_use]
    pub fn set(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.manifest.insert(key.to_owned(), value.into());
        self.write_manifest();
        self
    }

    /// Runs Composer in the project, without questions and colours.
    pub async fn run<'a>(&self, arguments: impl IntoIterator<Item = &'a str>) -> Output {
        let mut command = self.composer.command();
        command
            .args(["--no-interaction", "--no-ansi"])
            .args(arguments)
            .current_dir(self.path())
            .stdin(Stdio::null())
            .kill_on_drop(true);
        self.isolate(&mut command);
        let output = command
            .output()
            .await
            .unwrap_or_else(|error| panic!("{command:?} does not start: {error}"));
        Output {
            status: output.status,
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// Nothing of the machine's or the developer's own Composer and git configuration reaches the project.
    fn isolate(&self, command: &mut Command) {
        #[expect(
            clippy::disallowed_methods,
            reason = "Composer finds PHP and git as the tests do"
        )]
        let path = std::env::var_os("PATH").unwrap_or_default();
        let home = self.folder.path().join("home");
        command
            .env_clear()
            .env("PATH", path)
            .env("LANG", "C.UTF-8")
            .env("HOME", &home)
            .env("COMPOSER_HOME", &home)
            .env("COMPOSER_CACHE_DIR", self.folder.path().join("cache"))
            .env("COMPOSER_ALLOW_SUPERUSER", "1")
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_TERMINAL_PROMPT", "0");
        for proxy in ["http_proxy", "https_proxy"] {
            command.env(proxy, "http://127.0.0.1:9");
        }
        command.env("no_proxy", "127.0.0.1,localhost");
    }

    /// The project's folder, where composer.json is.
    pub fn path(&self) -> PathBuf {
        self.folder.path().join("app")
    }

    /// Forgets every document and archive that Composer has cached.
    pub fn clear_cache(&self) {
        make_empty(&self.folder.path().join("cache"));
    }

    /// Removes what is installed; the lock file stays.
    pub fn remove_vendor(&self) {
        make_empty(&self.path().join("vendor"));
    }

    /// The lock file.
    pub fn lock(&self) -> Value {
        let file = self.path().join("composer.lock");
        let bytes = fs::read(&file)
            .unwrap_or_else(|error| panic!("{} is not readable: {error}", file.display()));
        serde_json::from_slice(&bytes).expect("a lock file is JSON")
    }

    /// The entry of `package` in the lock file.
    pub fn locked(&self, package: &str) -> Value {
        let lock = self.lock();
        let packages = lock["packages"].as_array().into_iter().flatten();
        packages
            .chain(lock["packages-dev"].as_array().into_iter().flatten())
            .find(|entry| entry["name"] == package)
            .cloned()
            .unwrap_or_else(|| panic!("{package} is not in the lock file:\n{lock:#}"))
    }

    /// SHA-256 over the sorted paths, executable bits, link targets and contents of an installed package,
    /// without a `.git` folder: equal digests mean byte-identical code.
    pub fn installed_digest(&self, package: &str) -> String {
        let root = self.path().join("vendor").join(package);
        let mut entries = Vec::new();
        walk(&root, &root, &mut entries);
        assert!(!entries.is_empty(), "{package} is not installed");
        entries.sort();
        let mut digest = Sha256::new();
        for (path, kind, content) in entries {
            digest.update(format!("{path}\0{kind}\0{}\0", content.len()));
            digest.update(content);
        }
        hex::encode(digest.finalize())
    }

    fn write_manifest(&self) {
        let mut manifest = self.manifest.clone();
        if manifest["require"] == json!({}) {
            manifest.shift_remove("require");
        }
        self.write("composer.json", &format!("{:#}", Value::Object(manifest)));
    }

    fn write(&self, name: &str, content: &str) {
        fs::write(self.path().join(name), content).expect("a file in the project");
    }
}

fn make_empty(folder: &Path) {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            panic!("{} does not go: {error}", folder.display())
        }
        _ => fs::create_dir_all(folder).expect("a folder in the project"),
    }
}

fn walk(root: &Path, folder: &Path, entries: &mut Vec<(String, &'static str, Vec<u8>)>) {
    let Ok(listing) = fs::read_dir(folder) else {
        return;
    };
    for entry in listing {
        let path = entry.expect("an entry of an installed package").path();
        let name = path.strip_prefix(root).expect("a path below its root");
        let name = name.to_string_lossy().into_owned();
        let kind = fs::symlink_metadata(&path).expect("metadata of an installed file");
        if kind.is_symlink() {
            let target = fs::read_link(&path).expect("the target of an installed link");
            let target = target.to_string_lossy().into_owned().into_bytes();
            entries.push((name, "link", target));
        } else if kind.is_dir() {
            if name != ".git" {
                walk(root, &path, entries);
            }
        } else {
            let executable = kind.permissions().mode() & 0o111 != 0;
            let kind = if executable { "executable" } else { "file" };
            let content = fs::read(&path).expect("an installed file");
            entries.push((name, kind, content));
        }
    }
}
