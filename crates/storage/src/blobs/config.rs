//! Which store, by URL.

use std::fmt;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use object_store::aws::AmazonS3Builder;
use object_store::local::LocalFileSystem;
use object_store::memory::InMemory;
use object_store::path::Path as Key;
use object_store::{ClientOptions, RetryConfig};
use url::Url;

use super::{BlobError, Blobs};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// See [`BlobsConfig::patience`].
const PATIENCE: Duration = Duration::from_mins(1);
/// How often a request is repeated: with growing pauses, ten seconds or so in all where nobody answers.
const RETRIES: usize = 6;

/// Where blobs are, and how to get in.
#[derive(Clone)]
pub struct BlobsConfig {
    /// `file:PATH`, `memory:` (for tests), or `s3://BUCKET/PREFIX` with the parameters `region`, `endpoint`,
    /// `path_style=true` and `allow_http=true`.
    pub url: String,
    /// The access key of S3. Without one the machine's own role is asked for.
    pub access_key: Option<String>,
    /// The secret of the access key.
    pub secret: Option<String>,
    /// How long S3 may keep us waiting: for a piece of an answer, and for an answer in several attempts. The whole may take
    /// as long as its slowest reader. A minute.
    pub patience: Duration,
}

impl BlobsConfig {
    /// A store that needs no key.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            access_key: None,
            secret: None,
            patience: PATIENCE,
        }
    }
}

impl fmt::Debug for BlobsConfig {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "BlobsConfig({})", self.url)
    }
}

pub(super) fn open(config: &BlobsConfig) -> Result<Blobs, BlobError> {
    if let Some(rest) = config.url.strip_prefix("file:") {
        return open_folder(rest.strip_prefix("//").unwrap_or(rest));
    }
    if config.url == "memory:" {
        return Ok(Blobs {
            store: Arc::new(InMemory::new()),
            folder: None,
            prefix: Key::default(),
            name: config.url.clone(),
        });
    }
    match Url::parse(&config.url) {
        Ok(url) if url.scheme() == "s3" => open_s3(config, &url),
        _ => Err(refuse(&config.url, "its scheme is not known")),
    }
}

fn open_folder(path: &str) -> Result<Blobs, BlobError> {
    if path.is_empty() {
        return Err(refuse("file:", "it names no folder"));
    }
    let create = |path: &Path| {
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(path)?;
        path.canonicalize()
    };
    let folder = create(Path::new(path)).map_err(|source| BlobError::Folder {
        path: PathBuf::from(path),
        source,
    })?;
    let name = format!("file:{}", folder.display());
    let store =
        LocalFileSystem::new_with_prefix(&folder).map_err(|source| BlobError::Unusable {
            store: name.clone(),
            source: Box::new(source),
        })?;
    Ok(Blobs {
        store: Arc::new(store.with_fsync(true)),
        folder: Some(folder),
        prefix: Key::default(),
        name,
    })
}

fn open_s3(config: &BlobsConfig, url: &Url) -> Result<Blobs, BlobError> {
    let bucket = url
        .host_str()
        .ok_or_else(|| refuse("s3:", "it names no bucket"))?;
    let shown = format!("s3://{bucket}{}", url.path());
    if !url.username().is_empty() || url.password().is_some() {
        return Err(refuse(&shown, "keys do not belong into it"));
    }
    let prefix =
        Key::from_url_path(url.path()).map_err(|error| refuse(&shown, &error.to_string()))?;
    let client = ClientOptions::new()
        .with_connect_timeout(CONNECT_TIMEOUT.min(config.patience))
        .with_timeout_disabled()
        .with_read_timeout(config.patience);
    let retry = RetryConfig {
        max_retries: RETRIES,
        retry_timeout: config.patience,
        ..RetryConfig::default()
    };
    let mut builder = AmazonS3Builder::new()
        .with_bucket_name(bucket)
        .with_client_options(client)
        .with_retry(retry)
        .with_virtual_hosted_style_request(true);
    for (name, value) in url.query_pairs() {
        builder = match (&*name, &*value) {
            ("region", region) => builder.with_region(region),
            ("endpoint", endpoint) => builder.with_endpoint(endpoint),
            ("path_style", "true") => builder.with_virtual_hosted_style_request(false),
            ("allow_http", "true") => builder.with_allow_http(true),
            ("path_style" | "allow_http", "false") => builder,
            _ => {
                return Err(refuse(
                    &shown,
                    &format!("the parameter {name}={value} is not known"),
                ));
            }
        };
    }
    if let (Some(access_key), Some(secret)) = (&config.access_key, &config.secret) {
        builder = builder
            .with_access_key_id(access_key)
            .with_secret_access_key(secret);
    }
    let store = builder.build().map_err(|source| BlobError::Unusable {
        store: shown.clone(),
        source: Box::new(source),
    })?;
    Ok(Blobs {
        store: Arc::new(store),
        folder: None,
        prefix,
        name: shown,
    })
}

fn refuse(url: &str, reason: &str) -> BlobError {
    BlobError::Url {
        url: url.to_owned(),
        reason: reason.to_owned(),
    }
}
