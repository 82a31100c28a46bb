//! What git, curl and ssh say when they fail, sorted into errors.

use std::path::Path;

use crate::connection::Context;
use crate::error::VcsError;
use crate::protocol::Protocol;
use crate::text::detail;

const CERTIFICATE: &[&str] = &[
    "SSL certificate problem",
    "server certificate verification failed",
    "SSL: no alternative certificate subject name",
    "certificate subject name",
];
const AUTHENTICATION: &[&str] = &[
    "Authentication failed for",
    "could not read Username",
    "could not read Password",
    "returned error: 401",
    "returned error: 403",
    "Access denied",
    "Permission denied (",
    "Too many authentication failures",
    "No supported authentication methods",
];
const NOT_FOUND: &[&str] = &[
    "returned error: 404",
    "returned error: 410",
    "epository not found",
    "access denied or repository not exported",
    "no such repository",
    "could not be found or you don't have permission",
    "either does not exist or you do not have",
    "Cannot find repository",
];
const NOT_A_REPOSITORY: &[&str] = &[
    "does not appear to be a git repository",
    "not valid: is this a git repository",
    "not valid: could not determine hash algorithm",
    "invalid server response",
    "bad line length character",
    "unexpected line",
    "invalid gitfile format",
];
const UNREACHABLE: &[&str] = &[
    "Could not resolve host",
    "Failed to connect",
    "Couldn't connect to server",
    "unable to connect to",
    "unable to look up",
    "Connection refused",
    "Connection timed out",
    "Operation timed out",
    "No route to host",
    "Network is unreachable",
    "gnutls_handshake",
    "SSL_connect",
    "TLS connect error",
    "kex_exchange_identification",
];
const INTERRUPTED: &[&str] = &[
    "early EOF",
    "hung up unexpectedly",
    "unexpected disconnect",
    "RPC failed",
    "Connection reset",
    "Connection closed",
    "transfer closed",
    "Empty reply from server",
    "Operation too slow",
    "returned error: 429",
    "returned error: 5",
    "Could not read from remote repository",
];
const REDIRECT: &[&str] = &[
    "returned error: 301",
    "returned error: 302",
    "returned error: 303",
    "returned error: 307",
    "returned error: 308",
];
const CORRUPT: &[&str] = &[
    "is corrupt",
    "bad object",
    "bad tree object",
    "unable to read tree",
    "unable to read sha1 file",
    "unable to find ",
    "inflate: data stream error",
    "wrong index v",
    "does not match index",
    "cannot be accessed",
    "unable to unpack",
    "nonexistent object",
    "not a git repository",
    "bad config line",
    "packed-refs:",
    "corrupt or missing",
    "mismatch for",
];

const DISK: &[&str] = &[
    "No space left on device",
    "Disk quota exceeded",
    "File too large",
    "Read-only file system",
];

/// Whether git could not write to a disk of ours. What a server says of its own is marked.
fn is_our_disk(said: &str) -> bool {
    said.lines()
        .filter(|line| !line.starts_with("remote:"))
        .any(|line| DISK.iter().any(|phrase| line.contains(phrase)))
}

/// Why a command that contacted a repository failed.
pub(crate) fn remote(context: &Context, doing: &str, said: &str) -> VcsError {
    let (url, host) = (context.url.to_string(), context.host());
    let has = |phrases: &[&str]| phrases.iter().any(|phrase| said.contains(phrase));
    let detail = detail(said);
    if is_our_disk(said) {
        let doing = doing.to_owned();
        return VcsError::Disk { doing, detail };
    }
    let is_ssh = context.url.protocol() == Protocol::Ssh;
    if is_ssh && has(&["Host key verification failed"]) {
        return host_key(context, said, detail);
    }
    let gone = [
        "couldn't find remote ref",
        "not our ref",
        "does not allow request for unadvertised object",
    ];
    if has(&gone) {
        return VcsError::Changed { url, detail };
    }
    if has(REDIRECT) {
        return VcsError::Redirected { url, detail };
    }
    if has(CERTIFICATE) {
        let detail = without_bundles(&detail);
        return VcsError::CertificateRefused { host, detail };
    }
    if has(NOT_FOUND) || (!is_ssh && has(&["fatal: repository '"])) {
        return VcsError::NotFound { url, detail };
    }
    if has(NOT_A_REPOSITORY) {
        return VcsError::NotARepository { url, detail };
    }
    if has(AUTHENTICATION) {
        let advice = advice(context.with_credential, is_ssh, &host);
        return VcsError::AuthenticationFailed {
            host,
            url,
            advice,
            detail,
        };
    }
    if has(UNREACHABLE) {
        return VcsError::Unreachable { host, detail };
    }
    if has(&["transport '"]) && has(&["' not allowed"]) {
        let protocol = context.url.protocol();
        return VcsError::ProtocolNotAllowed { url, protocol };
    }
    let doing = doing.to_owned();
    if has(INTERRUPTED) {
        return VcsError::Interrupted {
            host,
            doing,
            detail,
        };
    }
    VcsError::GitFailed { doing, detail }
}

/// Why a command that only read or wrote a mirror failed.
pub(crate) fn local(mirror: &Path, doing: &str, said: &str) -> VcsError {
    let detail = detail(said);
    if is_our_disk(said) {
        let doing = doing.to_owned();
        return VcsError::Disk { doing, detail };
    }
    if said.contains("exceeded maximum allowed tree depth") {
        let doing = doing.to_owned();
        return VcsError::TooDeep { doing };
    }
    if is_corrupt(said) {
        return VcsError::Corrupt {
            path: mirror.to_owned(),
            detail,
        };
    }
    let doing = doing.to_owned();
    VcsError::GitFailed { doing, detail }
}

/// An error if git said that it may not have more memory.
pub(crate) fn memory(doing: &str, said: &str, limit: u64) -> Result<(), VcsError> {
    let is_short = |line: &str| {
        let line = line.to_ascii_lowercase();
        let words = line
            .strip_prefix("fatal: ")
            .or_else(|| line.strip_prefix("error: "));
        words.is_some_and(|words| words.contains("out of memory"))
    };
    if !said.lines().any(is_short) {
        return Ok(());
    }
    let subject = format!("the memory that git needs to {doing}");
    Err(VcsError::TooLarge { subject, limit })
}

/// An error if git said that a tree has a path which it never writes: `..`, `.git`.
pub(crate) fn tree(doing: &str, said: &str) -> Result<(), VcsError> {
    let path = |line: &str| {
        let path = line.strip_prefix("error: invalid path '")?;
        Some(path.trim_end_matches('\'').to_owned())
    };
    let Some(path) = said.lines().find_map(path) else {
        return Ok(());
    };
    let doing = doing.to_owned();
    Err(VcsError::DangerousTree { doing, path })
}

/// Whether git complains about damaged files. After a fetch that may be the server talking of its own.
pub(crate) fn is_corrupt(said: &str) -> bool {
    CORRUPT.iter().any(|phrase| said.contains(phrase))
}

/// ssh at level DEBUG1 names the offered key in a line of its own, before it judges it.
fn host_key(context: &Context, said: &str, detail: String) -> VcsError {
    let host = context.host();
    let offered = said
        .lines()
        .find_map(|line| line.strip_prefix("debug1: Server host key: "));
    match offered {
        Some(offered) if !context.known.is_empty() => VcsError::HostKeyChanged {
            host,
            known: context.known.iter().map(crate::HostKey::shown).collect(),
            offered: offered.trim().to_owned(),
        },
        _ => VcsError::Unreachable { host, detail },
    }
}

/// Which bundles git has read is of no use to who reads the setting's name beside it.
fn without_bundles(detail: &str) -> String {
    detail
        .split("; ")
        .map(|line| line.split_once(" CAfile: ").map_or(line, |(said, _)| said))
        .collect::<Vec<_>>()
        .join("; ")
}

/// Credentials are found by host and port, and the port is what people forget.
fn advice(with_credential: bool, is_ssh: bool, host: &str) -> String {
    match (with_credential, is_ssh) {
        (true, false) => {
            "the stored credential is wrong, expired or may not read this repository; replace it"
                .to_owned()
        }
        (false, false) => format!(
            "it asks for a credential, or there is no such repository; store one with \
             `kapelle credential add --host {host} --kind token` (or --kind http-basic)"
        ),
        (true, true) => "the stored ssh key is not accepted; add its public half to the repository's deploy keys, \
                         or replace it"
            .to_owned(),
        (false, true) => format!(
            "it asks for an ssh key; store one with `kapelle credential add --host {host} --kind ssh-key`"
        ),
    }
}
