//! The server's certificate: from files, or made here and kept.

use std::fs::{DirBuilder, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::settings::Server;

/// Where the certificate of our own making is, for clients that shall trust it.
pub(crate) fn own_certificate(data: &Path) -> PathBuf {
    data.join("tls/certificate.pem")
}

/// Where machines keep the certificates that they trust, in one file.
const TRUSTED: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// The lines that let Composer trust our own certificate in one project. Its `cafile` takes the place of the machine's
/// certificates, so that it has to hold those as well: packagist.org would not be trusted any more.
pub(super) fn trust(data: &Path) -> Vec<String> {
    let own = own_certificate(data).display().to_string();
    match TRUSTED.into_iter().find(|file| Path::new(file).exists()) {
        Some(trusted) => vec![
            format!("cat {trusted} '{own}' > kapelle-ca.pem"),
            "composer config cafile \"$PWD/kapelle-ca.pem\"".to_owned(),
        ],
        None => vec![format!("composer config cafile '{own}'")],
    }
}

/// TLS as the settings ask for it; `None` for plain HTTP.
pub(super) fn configure(server: &Server, data: &Path) -> anyhow::Result<Option<Arc<ServerConfig>>> {
    let (certificate, key) = match (&server.tls_certificate, &server.tls_key) {
        (Some(certificate), Some(key)) => (certificate.clone(), key.clone()),
        _ if server.tls_self_signed => make_once(server, data)?,
        _ => return Ok(None),
    };
    let failed = || {
        format!(
            "the TLS certificate {} and its key {} cannot be used",
            certificate.display(),
            key.display()
        )
    };
    let config = read(&certificate, &key).with_context(failed)?;
    Ok(Some(Arc::new(config)))
}

fn read(certificate: &Path, key: &Path) -> anyhow::Result<ServerConfig> {
    let chain: Result<Vec<_>, _> = CertificateDer::pem_file_iter(certificate)?.collect();
    let key = PrivateKeyDer::from_pem_file(key)?;
    let mut config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(chain?, key)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

/// The certificate is made again when the names it is for have changed.
fn make_once(server: &Server, data: &Path) -> anyhow::Result<(PathBuf, PathBuf)> {
    let folder = data.join("tls");
    let (certificate, key, names_file) = (
        own_certificate(data),
        folder.join("key.pem"),
        folder.join("names.txt"),
    );
    let names = names(server);
    // Not there yet is the same as made for other names.
    let known = std::fs::read_to_string(&names_file).unwrap_or_default();
    if known == names.join("\n") && certificate.exists() && key.exists() {
        return Ok((certificate, key));
    }
    if !folder.exists() {
        let made = DirBuilder::new().mode(0o700).create(&folder);
        made.with_context(|| format!("{} cannot be made", folder.display()))?;
    }
    let made = rcgen::generate_simple_self_signed(names.clone())
        .context("no TLS certificate could be made")?;
    // Last written and first removed: while it is not there, nothing else counts.
    match std::fs::remove_file(&names_file) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(error)
                .with_context(|| format!("{} cannot be removed", names_file.display()));
        }
        _ => {}
    }
    write(&key, &made.signing_key.serialize_pem(), 0o600)?;
    write(&certificate, &made.cert.pem(), 0o644)?;
    write(&names_file, &names.join("\n"), 0o644)?;
    tracing::info!(certificate = %certificate.display(), "a TLS certificate was made; clients have to trust it");
    Ok((certificate, key))
}

fn names(server: &Server) -> Vec<String> {
    let mut names = vec![
        "localhost".to_owned(),
        "127.0.0.1".to_owned(),
        "::1".to_owned(),
    ];
    if !server.listen.ip().is_unspecified() {
        names.push(server.listen.ip().to_string());
    }
    if let Some(host) = server.public_url.as_ref().and_then(|url| url.host_str()) {
        names.push(host.trim_matches(['[', ']']).to_owned());
    }
    names.sort();
    names.dedup();
    names
}

fn write(path: &Path, text: &str, mode: u32) -> anyhow::Result<()> {
    let failed = || format!("{} cannot be written", path.display());
    let open = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(mode)
        .open(path);
    open.and_then(|mut file| file.write_all(text.as_bytes()))
        .with_context(failed)
}
