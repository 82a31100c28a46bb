//! Fills a database with a generated registry, through the same code that a synchronization publishes with but without
//! git, so that what grows with the number of packages can be measured.

mod dice;
mod package;
mod rows;

use std::fs::File;
use std::io::{BufWriter, Write, stderr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use clap::Parser;
use futures::{FutureExt, StreamExt, TryStreamExt, stream};
use kapelle_outbound::{Client, ClientConfig};
use kapelle_registry::disk::Disk;
use kapelle_registry::document::{self, Material, PackageDocuments};
use kapelle_registry::secrets::Secrets;
use kapelle_registry::{Actor, Clock, Limits, Parts, Random, Registry};
use kapelle_storage::Database;
use kapelle_storage::blobs::{Blobs, BlobsConfig};
use kapelle_storage::db::dists::{Dist, Shown};
use kapelle_storage::db::organizations;
use kapelle_vcs::{Git, GitConfig, Protocols};
use url::Url;

use package::{Generated, Plan};
use rows::Written;

/// Why it went no further.
type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Packages that are rendered ahead of the writer.
const AHEAD: usize = 64;
/// Packages of one transaction: as many rows as a large step of a synchronization writes.
const BATCH: usize = 40;

/// Adds packages to an organization that `kapelle setup` made. The same numbers give the same names, versions, commits
/// and manifests; the names are written in the order of their popularity.
#[derive(Debug, Parser)]
struct Arguments {
    /// `sqlite:PATH` or `postgres://…`, as the server is told.
    #[arg(long)]
    database: String,
    /// The organization's name.
    #[arg(long)]
    organization: String,
    /// What the server will be told as its public URL: links in documents are complete.
    #[arg(long)]
    public_url: Url,
    /// How many packages.
    #[arg(long)]
    packages: u64,
    /// How many versions they have together.
    #[arg(long)]
    versions: u64,
    /// What the contents depend on.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Where to write the names, one a line.
    #[arg(long)]
    names: PathBuf,
    /// Leaves out the rows of built archives, and with them the checksums in the documents.
    #[arg(long)]
    without_dists: bool,
    /// Transactions at once; more than one is of use on PostgreSQL only.
    #[arg(long, default_value_t = 1)]
    writers: usize,
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    kapelle_outbound::install_crypto_provider();
    let arguments = Arguments::parse();
    let temporary = tempfile::tempdir()?;
    let registry = open(&arguments, temporary.path().to_owned()).await?;
    let mut connection = registry.database().read().await?;
    let organization =
        organizations::find_by_slug(&mut connection, &arguments.organization).await?;
    drop(connection);
    let organization =
        organization.ok_or("there is no such organization: run `kapelle setup` first")?;
    let plan = Arc::new(Plan {
        packages: arguments.packages,
        versions: arguments.versions,
        seed: arguments.seed,
        organization_id: organization.id,
        now: registry.now(),
    });

    let begun = Instant::now();
    let mut names = BufWriter::new(File::create(&arguments.names)?);
    let written = stream::iter(0..plan.packages)
        .map(|index| {
            let rendering = render(
                registry.clone(),
                Arc::clone(&plan),
                index,
                !arguments.without_dists,
            );
            tokio::spawn(rendering).map(|done| done.map_err(Failure::from).flatten())
        })
        .buffered(AHEAD)
        .try_chunks(BATCH)
        .map_err(|error| error.1)
        .map_ok(|batch| rows::write(&registry, batch))
        .try_buffered(arguments.writers);
    let mut written = std::pin::pin!(written);
    let mut total = Written::default();
    while let Some(batch) = written.try_next().await? {
        for name in &batch.names {
            writeln!(names, "{name}")?;
        }
        let before = total.packages / 10_000;
        total.packages += batch.packages;
        total.versions += batch.versions;
        if total.packages / 10_000 > before {
            report(&total, begun)?;
        }
    }
    names.flush()?;
    registry.catch_up().await?;
    let root = format!("{}/{}", arguments.organization, document::ROOT);
    document::find(&registry, &Actor::Operator, &root).await?;
    registry.database().close().await;
    Ok(report(&total, begun)?)
}

/// The generated package with its documents.
async fn render(
    registry: Registry,
    plan: Arc<Plan>,
    index: u64,
    with_dists: bool,
) -> Result<(Generated, PackageDocuments), Failure> {
    let generated = plan.package(index, with_dists);
    let material = Material {
        package: generated.package.clone(),
        versions: generated.versions.clone(),
        dists: generated.dists.iter().map(shown).collect(),
    };
    let documents = PackageDocuments::render(&registry, material).await?;
    Ok((generated, documents))
}

fn shown(dist: &Dist) -> (String, Shown) {
    let shown = Shown {
        reference: dist.reference.clone(),
        sha1: dist.sha1.clone(),
        extension: dist.extension.clone(),
    };
    (dist.reference.clone(), shown)
}

fn report(total: &Written, begun: Instant) -> std::io::Result<()> {
    let seconds = begun.elapsed().as_secs_f64().max(0.001);
    let rate = u32::try_from(total.versions).map_or(f64::INFINITY, f64::from) / seconds;
    writeln!(
        stderr(),
        "{} packages, {} versions in {seconds:.0} s: {rate:.0} versions/s",
        total.packages,
        total.versions
    )
}

/// A registry that only renders and writes: nothing is fetched, built or sealed.
async fn open(arguments: &Arguments, temporary: PathBuf) -> Result<Registry, Failure> {
    let outbound = Client::new(ClientConfig::default())?;
    let random = Random::seeded(arguments.seed);
    let database = Database::connect(&arguments.database).await?;
    let clock = Clock::System;
    database.migrate(clock.now()).await?;
    Ok(Registry::new(Parts {
        database,
        blobs: Blobs::open(&BlobsConfig::new("memory:"))?,
        git: Git::new(GitConfig::new(temporary.join("mirrors"), outbound.clone()))?,
        protocols: Protocols::default(),
        outbound,
        secrets: Secrets::from_hex(&"00".repeat(32).into(), random.clone())?,
        clock,
        random,
        limits: Limits::default(),
        disk: Disk::unwatched(),
        public_url: arguments.public_url.clone(),
        temporary,
    }))
}
