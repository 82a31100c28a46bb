//! Settings that are right one by one and wrong together.

use std::time::Duration;

use super::Loaded;

const SHORTEST_LEASE: Duration = Duration::from_secs(5);

/// One sentence for each contradiction.
pub(super) fn contradictions(loaded: &Loaded) -> Vec<String> {
    let settings = &loaded.settings;
    let server = &settings.server;
    let mut faults = Vec::new();
    let mut fault = |section: &'static str, field: &'static str, reason: &str| {
        faults.push(format!(
            "{}: {section}.{field}: {reason}",
            loaded.origin(section, field)
        ));
    };
    match (&server.tls_certificate, &server.tls_key) {
        (Some(_), None) => fault("server", "tls_certificate", "server.tls_key is missing"),
        (None, Some(_)) => fault("server", "tls_key", "server.tls_certificate is missing"),
        _ => {}
    }
    if server.tls_self_signed && server.tls_certificate.is_some() {
        fault(
            "server",
            "tls_self_signed",
            "server.tls_certificate is set as well: choose one of them",
        );
    }
    if let Some(url) = &settings.database.url
        && !matches!(url.scheme(), "sqlite" | "postgres" | "postgresql")
    {
        fault(
            "database",
            "url",
            "the URL begins with neither sqlite: nor postgres://",
        );
    }
    if let Some(url) = &settings.blobs.url
        && !matches!(url.scheme(), "file" | "s3" | "memory")
    {
        fault(
            "blobs",
            "url",
            "the URL begins with neither file: nor s3://",
        );
    }
    if settings.blobs.access_key_id.is_some() != settings.blobs.secret_access_key.is_some() {
        let field = if settings.blobs.access_key_id.is_some() {
            "access_key_id"
        } else {
            "secret_access_key"
        };
        fault(
            "blobs",
            field,
            "blobs.access_key_id and blobs.secret_access_key belong together: the other one is missing",
        );
    }
    if settings.jobs.lease < SHORTEST_LEASE {
        let reason = "less than 5 s: a worker that is busy would be taken for a lost one";
        fault("jobs", "lease", reason);
    }
    if settings.secrets.key.is_some() && settings.secrets.key_file.is_some() {
        fault(
            "secrets",
            "key",
            "secrets.key_file is set as well: choose one of them",
        );
    }
    if let Some(level) = &settings.log.level
        && tracing_subscriber::EnvFilter::try_new(level).is_err()
    {
        fault(
            "log",
            "level",
            &format!("{level:?} is not a level, such as info or info,kapelle_vcs=debug"),
        );
    }
    faults
}
