//! Repository URLs: parsed once into parts, refused with a sentence, rebuilt from the parts wherever they are used.

use std::fmt;
use std::net::IpAddr;

use kapelle_outbound::Url;

use crate::invalid_url::{InvalidUrl, MAX_LENGTH};
use crate::protocol::{Protocol, Protocols};

/// Hosts that do not tell upper from lower case in paths.
const CASELESS_HOSTS: [&str; 3] = ["github.com", "gitlab.com", "bitbucket.org"];

/// Where a repository is. Never contains a password or token.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RepositoryUrl {
    pub(crate) protocol: Protocol,
    /// Only with ssh.
    pub(crate) user: Option<String>,
    /// Lower case, IPv6 in brackets; empty for files.
    pub(crate) host: String,
    /// `None` is the protocol's own port.
    pub(crate) port: Option<u16>,
    /// With its leading slash, but for the short form of ssh, whose paths begin in the user's home.
    pub(crate) path: String,
    /// `user@host:path` instead of `ssh://…`, `/path` instead of `file://…`.
    pub(crate) short: bool,
}

impl RepositoryUrl {
    /// Parses https, http, ssh, git and file URLs, `user@host:path` and absolute paths, as far as they are allowed.
    ///
    /// Schemes and hosts are taken in any case and become lower case; a protocol's own port is dropped.
    pub fn parse(text: &str, protocols: &Protocols) -> Result<Self, InvalidUrl> {
        let url = Self::read(text)?;
        // The normal form of a host may be what was refused: `\u{ad}ext::sh` is written `ext::sh`.
        let written = url.to_string();
        if written != text && Self::read(&written)? != url {
            return Err(InvalidUrl::Host);
        }
        if protocols.allow(url.protocol) {
            Ok(url)
        } else {
            Err(InvalidUrl::NotAllowed {
                protocol: url.protocol,
            })
        }
    }

    /// How the repository is reached.
    pub fn protocol(&self) -> Protocol {
        self.protocol
    }

    /// The host without brackets, in lower case, and the port; `None` for files.
    pub fn host_and_port(&self) -> Option<(&str, u16)> {
        let port = self.port.or(self.protocol.default_port())?;
        Some((self.host.trim_matches(['[', ']']), port))
    }

    /// The host, with `:port` unless it is the protocol's own: what credentials are stored under. Empty for files.
    pub fn authority(&self) -> String {
        match self.port {
            Some(port) => format!("{}:{port}", self.host),
            None => self.host.clone(),
        }
    }

    /// The same for every way to write the address of one repository: `github.com/acme/lib`.
    ///
    /// User, protocol, `.git` and outer slashes are left out; large public hosts do not tell case in paths, so there
    /// the path is lower case, too. Files get `file:/path`.
    pub fn key(&self) -> String {
        let path = self.path.trim_matches('/');
        let path = path.strip_suffix(".git").unwrap_or(path);
        let path = path.trim_end_matches('/');
        if self.protocol == Protocol::File {
            return format!("file:/{path}");
        }
        let authority = self.authority();
        if CASELESS_HOSTS.contains(&authority.as_str()) {
            format!("{authority}/{}", path.to_ascii_lowercase())
        } else {
            format!("{authority}/{path}")
        }
    }

    /// Whether a secret meant for one of the two may be sent to the other.
    pub(crate) fn same_origin(&self, other: &Self) -> bool {
        self.protocol == other.protocol && self.host == other.host && self.port == other.port
    }

    fn read(text: &str) -> Result<Self, InvalidUrl> {
        check_text(text)?;
        match text.split_once("://") {
            Some((scheme, rest)) => Self::with_scheme(scheme, rest),
            None if text.starts_with('/') => Self::file(text, true),
            None => Self::scp(text),
        }
    }

    fn with_scheme(scheme: &str, rest: &str) -> Result<Self, InvalidUrl> {
        // What stands there and is no scheme may be a secret: `token@host://path`.
        if !scheme.chars().all(is_scheme_character) {
            return Err(InvalidUrl::Relative);
        }
        let protocol = scheme.parse().map_err(|_| InvalidUrl::UnknownScheme {
            scheme: scheme
                .chars()
                .take(32)
                .collect::<String>()
                .to_ascii_lowercase(),
        })?;
        if protocol == Protocol::File {
            let path = rest.strip_prefix("localhost").unwrap_or(rest);
            return Self::file(path, false);
        }
        let (authority, path) = match rest.find('/') {
            Some(slash) => rest.split_at(slash),
            None => (rest, ""),
        };
        let (user, address) = match authority.rsplit_once('@') {
            Some((user, address)) => (Some(check_user(user, protocol)?), address),
            None => (None, authority),
        };
        let (host, port) = split_port(address)?;
        Ok(Self {
            protocol,
            user,
            host: check_host(host)?,
            port: port.filter(|port| Some(*port) != protocol.default_port()),
            path: check_path(path)?,
            short: false,
        })
    }

    /// `[user@]host:path`; the path begins in the user's home unless it begins with a slash.
    fn scp(text: &str) -> Result<Self, InvalidUrl> {
        let (user, rest) = match text.find([':', '@', '/', '[']) {
            Some(at) if text[at..].starts_with('@') => (Some(&text[..at]), &text[at + 1..]),
            _ => (None, text),
        };
        let end = if rest.starts_with('[') {
            rest.find(']').ok_or(InvalidUrl::Host)? + 1
        } else {
            rest.find([':', '/']).ok_or(InvalidUrl::Relative)?
        };
        let (host, path) = rest.split_at(end);
        let path = path.strip_prefix(':').ok_or(InvalidUrl::Relative)?;
        if user.is_none() && host.parse::<Protocol>().is_ok() {
            return Err(InvalidUrl::Relative);
        }
        if user.is_none() && path.contains('@') {
            return Err(InvalidUrl::Secret);
        }
        Ok(Self {
            protocol: Protocol::Ssh,
            user: user
                .map(|user| check_user(user, Protocol::Ssh))
                .transpose()?,
            host: check_host(host)?,
            port: None,
            path: check_path(path)?,
            short: true,
        })
    }

    fn file(path: &str, short: bool) -> Result<Self, InvalidUrl> {
        if !path.starts_with('/') {
            return Err(InvalidUrl::Relative);
        }
        if has_drive_letter(&path[1..]) {
            return Err(InvalidUrl::WindowsPath);
        }
        Ok(Self {
            protocol: Protocol::File,
            user: None,
            host: String::new(),
            port: None,
            path: check_path(path)?,
            short,
        })
    }
}

/// As it was given, in normal form. It can be passed to git: no part begins with "-".
impl fmt::Display for RepositoryUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.short {
            write!(f, "{}://", self.protocol)?;
        }
        if let Some(user) = &self.user {
            write!(f, "{user}@")?;
        }
        f.write_str(&self.host)?;
        if let Some(port) = self.port {
            write!(f, ":{port}")?;
        }
        if self.short && self.protocol == Protocol::Ssh {
            f.write_str(":")?;
        }
        f.write_str(&self.path)
    }
}

/// What must not occur anywhere, whatever the rest turns out to be.
fn check_text(text: &str) -> Result<(), InvalidUrl> {
    if text.is_empty() {
        return Err(InvalidUrl::Empty);
    }
    if text.len() > MAX_LENGTH {
        return Err(InvalidUrl::TooLong);
    }
    if text.starts_with('-') {
        return Err(InvalidUrl::LikeOption {
            part: "repository URL",
        });
    }
    if text.contains(crate::text::is_invisible) || text.contains(char::is_whitespace) {
        return Err(InvalidUrl::Character);
    }
    let word = text.trim_start_matches(is_scheme_character);
    if word.starts_with("::") {
        let name = text[..text.len() - word.len()].chars().take(32).collect();
        return Err(InvalidUrl::RemoteHelper { name });
    }
    if text.contains('\\') || has_drive_letter(text) {
        return Err(InvalidUrl::WindowsPath);
    }
    if text.contains(['?', '#']) {
        return Err(InvalidUrl::Query);
    }
    Ok(())
}

fn check_user(user: &str, protocol: Protocol) -> Result<String, InvalidUrl> {
    if protocol != Protocol::Ssh || user.contains(':') {
        return Err(InvalidUrl::Secret);
    }
    if user.starts_with('-') {
        return Err(InvalidUrl::LikeOption {
            part: "user of the repository URL",
        });
    }
    let allowed = |c: char| c.is_ascii_alphanumeric() || "._+-".contains(c);
    if user.is_empty() || !user.chars().all(allowed) {
        return Err(InvalidUrl::User);
    }
    Ok(user.to_owned())
}

/// `host`, `host:port`, `[v6]` or `[v6]:port`.
fn split_port(address: &str) -> Result<(&str, Option<u16>), InvalidUrl> {
    let end = address.find(']').map_or(0, |bracket| bracket + 1);
    let Some(colon) = address[end..].find(':') else {
        return Ok((address, None));
    };
    let (host, port) = address.split_at(end + colon);
    let digits = &port[1..];
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(InvalidUrl::Port);
    }
    match digits.parse() {
        Ok(0) | Err(_) => Err(InvalidUrl::Port),
        Ok(port) => Ok((host, Some(port))),
    }
}

/// The host as the URL standard reads it: lower case, international names in ASCII, odd spellings of addresses undone.
fn check_host(host: &str) -> Result<String, InvalidUrl> {
    if host.starts_with('-') {
        return Err(InvalidUrl::LikeOption {
            part: "host of the repository URL",
        });
    }
    let host = host.strip_suffix('.').unwrap_or(host);
    if host.is_empty() || host.contains(['%', '/', '@']) {
        return Err(InvalidUrl::Host);
    }
    let url = Url::parse(&format!("https://{host}/")).map_err(|_| InvalidUrl::Host)?;
    let host = url.host_str().ok_or(InvalidUrl::Host)?;
    let is_address = host.starts_with('[') || host.parse::<IpAddr>().is_ok();
    let is_label = |label: &str| {
        let allowed = |c: char| c.is_ascii_alphanumeric() || "_-".contains(c);
        !label.is_empty() && !label.starts_with('-') && label.chars().all(allowed)
    };
    if url.port().is_some() || !(is_address || host.split('.').all(is_label)) {
        return Err(InvalidUrl::Host);
    }
    Ok(host.to_owned())
}

fn check_path(path: &str) -> Result<String, InvalidUrl> {
    let inner = path.trim_matches('/');
    if inner.is_empty() {
        return Err(InvalidUrl::NoPath);
    }
    if inner.starts_with('-') {
        return Err(InvalidUrl::LikeOption {
            part: "path of the repository URL",
        });
    }
    let decoded = decode(inner).ok_or(InvalidUrl::Path)?;
    if decoded.split('/').any(|part| part == "." || part == "..") {
        return Err(InvalidUrl::Path);
    }
    Ok(path.to_owned())
}

/// Undoes percent-encoding once; `None` if that brings out a slash, a control character or no text at all.
fn decode(path: &str) -> Option<String> {
    let mut decoded = Vec::with_capacity(path.len());
    let mut rest = path.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        if byte != b'%' {
            decoded.push(byte);
            continue;
        }
        let digits = std::str::from_utf8(after.get(..2)?).ok()?;
        let byte = u8::from_str_radix(digits, 16).ok()?;
        if byte.is_ascii_control() || b"/\\".contains(&byte) || digits.starts_with('+') {
            return None;
        }
        decoded.push(byte);
        rest = &after[2..];
    }
    let decoded = String::from_utf8(decoded).ok()?;
    (!decoded.contains(crate::text::is_invisible)).then_some(decoded)
}

fn is_scheme_character(c: char) -> bool {
    c.is_ascii_alphanumeric() || "+-.".contains(c)
}

/// `C:`
fn has_drive_letter(text: &str) -> bool {
    let mut characters = text.chars();
    characters.next().is_some_and(|c| c.is_ascii_alphabetic()) && characters.next() == Some(':')
}
