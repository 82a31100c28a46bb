//! What a generated package looks like: its name, its versions, their composer.json of about one kilobyte.

use kapelle_composer::{Stability, branch_version, tag_version};
use kapelle_storage::db::dists::Dist;
use kapelle_storage::db::packages::Package;
use kapelle_storage::db::versions::Version;
use serde_json::{Value, json};

use crate::dice::Dice;

/// How many versions ten packages in a row have for a hundred together: most have few, some have many.
const SHAPE: [u64; 10] = [1, 2, 3, 5, 8, 10, 10, 15, 20, 26];
/// Packages of one vendor.
const PER_VENDOR: u64 = 8;
const HOUR: i64 = 3_600_000;

const FIRST: [&str; 64] = [
    "amber", "apex", "arrow", "atlas", "aurora", "basalt", "beacon", "birch", "blue", "bright",
    "cedar", "cobalt", "copper", "coral", "crest", "crystal", "dawn", "delta", "drift", "dusk",
    "echo", "ember", "fable", "falcon", "fern", "flint", "forge", "frost", "garnet", "glacier",
    "granite", "harbor", "hazel", "heron", "indigo", "iron", "ivory", "jade", "juniper", "karst",
    "kite", "lark", "lumen", "maple", "marble", "meadow", "mistral", "north", "oak", "onyx",
    "opal", "pine", "quartz", "raven", "ridge", "river", "saffron", "slate", "solar", "spruce",
    "stone", "tidal", "umber", "willow",
];
const SECOND: [&str; 64] = [
    "access",
    "account",
    "address",
    "archive",
    "asset",
    "audit",
    "backup",
    "batch",
    "billing",
    "cache",
    "calendar",
    "catalog",
    "chart",
    "checkout",
    "command",
    "config",
    "contract",
    "currency",
    "customer",
    "dashboard",
    "document",
    "event",
    "export",
    "feature",
    "feed",
    "filter",
    "form",
    "gateway",
    "geo",
    "graph",
    "http",
    "image",
    "import",
    "index",
    "inventory",
    "invoice",
    "job",
    "ledger",
    "locale",
    "logger",
    "mail",
    "media",
    "menu",
    "message",
    "money",
    "notification",
    "order",
    "payment",
    "pdf",
    "permission",
    "pricing",
    "product",
    "profile",
    "queue",
    "report",
    "route",
    "schema",
    "search",
    "session",
    "shipping",
    "storage",
    "tax",
    "template",
    "workflow",
];
const KIND: [&str; 8] = [
    "",
    "-bundle",
    "-client",
    "-sdk",
    "-core",
    "-contracts",
    "-bridge",
    "-tools",
];
const REQUIRED: [&str; 12] = [
    "psr/log",
    "psr/container",
    "psr/http-message",
    "symfony/console",
    "symfony/http-kernel",
    "symfony/dependency-injection",
    "doctrine/orm",
    "monolog/monolog",
    "guzzlehttp/guzzle",
    "league/flysystem",
    "ramsey/uuid",
    "nesbot/carbon",
];

/// How large the registry becomes, and what its contents depend on.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) packages: u64,
    /// Of all packages together.
    pub(crate) versions: u64,
    pub(crate) seed: u64,
    pub(crate) organization_id: i64,
    pub(crate) now: i64,
}

/// A package before it has keys in the database.
#[derive(Debug)]
pub(crate) struct Generated {
    pub(crate) package: Package,
    pub(crate) versions: Vec<Version>,
    /// One for each version, or none at all.
    pub(crate) dists: Vec<Dist>,
}

impl Plan {
    /// The package of that number.
    pub(crate) fn package(&self, index: u64, with_dists: bool) -> Generated {
        let mut dice = Dice::of(self.seed, index);
        let name = name(index);
        let package = self.row(&name, &mut dice);
        let count = self
            .versions_before(index + 1)
            .saturating_sub(self.versions_before(index))
            .max(1);
        let versions: Vec<Version> = (0..count)
            .map(|number| self.version(&package, number, count, &mut dice))
            .collect();
        let dist = |version: &Version| Dist {
            package_id: 0,
            reference: version.reference.clone(),
            sha256: dice.bytes::<32>().to_vec(),
            sha1: hex::encode(dice.bytes::<20>()),
            size: 20_000,
            has_submodules: false,
            has_lfs: false,
            created_at: self.now,
            extension: "zip".to_owned(),
        };
        Generated {
            dists: if with_dists {
                versions.iter().map(dist).collect()
            } else {
                Vec::new()
            },
            versions,
            package,
        }
    }

    fn versions_before(&self, index: u64) -> u64 {
        let weight = |index: u64| {
            let rest = usize::try_from(index % 10).unwrap_or(0);
            index / 10 * 100 + SHAPE[..rest].iter().sum::<u64>()
        };
        self.versions * weight(index) / weight(self.packages).max(1)
    }

    fn row(&self, name: &str, dice: &mut Dice) -> Package {
        let key = format!("git.example.com/{name}");
        Package {
            id: 0,
            organization_id: self.organization_id,
            name: Some(name.to_owned()),
            kind: "vcs".to_owned(),
            origin: "private".to_owned(),
            repository_url: format!("https://{key}.git"),
            repository_key: key,
            credential_id: None,
            repository_type: "vcs".to_owned(),
            suborganization_access: String::new(),
            default_branch: Some("main".to_owned()),
            description: format!(
                "{} and {} for everything that needs {}",
                capitalized(dice.one_of(&SECOND)),
                dice.one_of(&SECOND),
                dice.one_of(&SECOND)
            ),
            package_type: dice
                .one_of(&["library", "library", "library", "symfony-bundle", "project"])
                .to_owned(),
            abandoned: None,
            sync_error: None,
            synced_at: Some(self.now),
            created_at: self.now,
            revision: 0,
            removed_at: None,
        }
    }

    /// The last one is the default branch, the others are tags.
    fn version(&self, package: &Package, number: u64, count: u64, dice: &mut Dice) -> Version {
        let is_branch = number + 1 == count;
        let (ref_name, version, normalized) = if is_branch {
            let read = branch_version("main").map(|read| (read.version, read.normalized));
            let (version, normalized) = read.unwrap_or_default();
            ("refs/heads/main".to_owned(), version, normalized)
        } else {
            let tag = format!("{}.{}.{}", 1 + number / 20, number % 20 / 4, number % 4);
            let read = tag_version(&tag).map(|read| (read.version, read.normalized));
            let (version, normalized) = read.unwrap_or_default();
            (format!("refs/tags/{tag}"), version, normalized)
        };
        let released_at = self.now - i64::try_from(count - number).unwrap_or(0) * 400 * HOUR;
        Version {
            id: 0,
            package_id: 0,
            stability: Stability::of(&normalized).to_string(),
            version,
            version_normalized: normalized,
            ref_name,
            reference: hex::encode(dice.bytes::<20>()),
            manifest: manifest(package, number, dice).into(),
            default_branch: is_branch,
            released_at,
            published_at: released_at,
            updated_at: self.now,
            removed_at: None,
        }
    }
}

/// The name of a number, without knowing how many there are.
fn name(index: u64) -> String {
    let (vendor, place) = (index / PER_VENDOR, index % PER_VENDOR);
    let word =
        |words: &[&'static str; 64], number: u64| words[usize::try_from(number % 64).unwrap_or(0)];
    let round = match vendor / (64 * 64) {
        0 => String::new(),
        round => format!("{round}"),
    };
    format!(
        "{}-{}{round}/{}{}",
        word(&FIRST, vendor),
        word(&SECOND, vendor / 64),
        word(&SECOND, vendor + place * 8),
        KIND[usize::try_from(place).unwrap_or(0)]
    )
}

fn capitalized(word: &str) -> String {
    let (first, rest) = word.split_at(1);
    first.to_uppercase() + rest
}

/// As its author would have committed it; requirements change with every fourth version.
fn manifest(package: &Package, number: u64, dice: &mut Dice) -> String {
    let name = package.name.as_deref().unwrap_or_default();
    let (vendor, project) = name.split_once('/').unwrap_or((name, name));
    let namespace = |part: &str| part.split('-').map(capitalized).collect::<String>();
    let namespace = format!("{}\\{}\\", namespace(vendor), namespace(project));
    let step = number / 4;
    let mut required = serde_json::Map::new();
    required.insert("php".to_owned(), json!(format!(">=8.{}", step % 5)));
    required.insert("ext-json".to_owned(), json!("*"));
    for index in 0..4 {
        let other = REQUIRED[(name.len() + index * 5) % REQUIRED.len()];
        required.insert(other.to_owned(), json!(format!("^{}.{}", 1 + step, index)));
    }
    required.insert(
        self::name(dice.below(8_000)),
        json!(format!("^1.{step} || ^2.0")),
    );
    let mut said = json!({
        "name": name,
        "type": package.package_type,
        "description": package.description,
        "keywords": [vendor, project, "generated"],
        "homepage": format!("https://example.com/{name}"),
        "license": "MIT",
        "authors": [
            { "name": "Ada Example", "email": format!("ada@{vendor}.example"), "role": "Developer" },
            { "name": "The community", "homepage": format!("https://git.example.com/{name}/contributors") },
        ],
        "support": { "issues": format!("https://git.example.com/{name}/issues") },
        "require": required,
        "require-dev": { "phpunit/phpunit": format!("^{}.0", 9 + step % 4), "phpstan/phpstan": "^2.1" },
        "autoload": { "psr-4": { &namespace: "src/" } },
        "autoload-dev": { "psr-4": { format!("{namespace}Tests\\"): "tests/" } },
        "extra": { "branch-alias": { "dev-main": format!("{}.x-dev", 1 + number / 20) } },
        "config": { "sort-packages": true },
        "scripts": { "test": "phpunit", "lint": "phpstan analyse" },
        "minimum-stability": "stable",
    });
    if name.len().is_multiple_of(10)
        && let Value::Object(said) = &mut said
    {
        said.insert(
            "provide".to_owned(),
            json!({ "psr/log-implementation": "1.0 || 2.0 || 3.0" }),
        );
    }
    serde_json::to_string_pretty(&said).unwrap_or_default()
}
