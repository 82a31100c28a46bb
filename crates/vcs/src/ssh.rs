//! What ssh needs for one connection, as files that vanish afterwards: configuration, private key, known hosts.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::net::IpAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use secrecy::ExposeSecret;
use tempfile::TempDir;

use crate::credential::Credential;
use crate::error::VcsError;
use crate::git::Access;
use crate::host_key::HostKey;

/// The user when the URL names none: what every git server uses. ssh itself would take the name of our own account.
const DEFAULT_USER: &str = "git";

/// A folder only we can read, removed when dropped.
pub(crate) struct SshFiles {
    folder: TempDir,
    host: String,
}

impl SshFiles {
    /// Writes the files for a connection to the checked address of the URL's host.
    pub(crate) fn write(
        access: &Access<'_>,
        known: &[HostKey],
        address: IpAddr,
    ) -> Result<Self, VcsError> {
        Self::try_write(access, known, address)
            .map_err(VcsError::io("write the temporary files for ssh"))
    }

    fn try_write(access: &Access<'_>, known: &[HostKey], address: IpAddr) -> io::Result<Self> {
        let files = Self {
            folder: tempfile::Builder::new().prefix("kapelle-ssh-").tempdir()?,
            host: HostKey::host_of(access.url).unwrap_or_default(),
        };
        let lines: Vec<_> = known.iter().filter_map(HostKey::to_line).collect();
        write_private(&files.known_hosts(), &terminated(&lines.join("\n")))?;
        if let Some(Credential::SshKey { private_key }) = access.credential {
            write_private(&files.key(), &terminated(private_key.expose_secret()))?;
        }
        let config = files.config(access, address, !lines.is_empty());
        write_private(&files.config_file(), &config)?;
        Ok(files)
    }

    /// The value of `GIT_SSH_COMMAND`, which git hands to a shell.
    pub(crate) fn command(&self) -> String {
        let file = self.config_file().display().to_string();
        format!("ssh -F '{}'", file.replace('\'', r"'\''"))
    }

    /// The keys that ssh has added to the known ones.
    pub(crate) fn accepted(&self, known: &[HostKey]) -> Result<Vec<HostKey>, VcsError> {
        let text = fs::read_to_string(self.known_hosts())
            .map_err(VcsError::io("read the host keys that ssh accepted"))?;
        Ok(text
            .lines()
            .filter_map(HostKey::from_line)
            .filter(|key| key.host == self.host && !known.contains(key))
            .collect())
    }

    /// DEBUG1 makes ssh name the key that a server offers, even when it does not say so in its error.
    fn config(&self, access: &Access<'_>, address: IpAddr, is_known: bool) -> String {
        let identity = match access.credential {
            Some(Credential::SshKey { .. }) => quoted(&self.key()),
            _ => "none".to_owned(),
        };
        let checking = if is_known { "yes" } else { "accept-new" };
        let user = access.url.user.as_deref().unwrap_or(DEFAULT_USER);
        format!(
            "Host *\n\
             HostName {address}\n\
             HostKeyAlias {host}\n\
             User {user}\n\
             IdentityFile {identity}\n\
             UserKnownHostsFile {known_hosts}\n\
             StrictHostKeyChecking {checking}\n\
             {FIXED}",
            host = self.host,
            known_hosts = quoted(&self.known_hosts()),
        )
    }

    fn config_file(&self) -> PathBuf {
        self.folder.path().join("config")
    }

    fn key(&self) -> PathBuf {
        self.folder.path().join("key")
    }

    fn known_hosts(&self) -> PathBuf {
        self.folder.path().join("known_hosts")
    }
}

/// The same for every connection: one key, no questions, no agent, no forwarding, no other program.
const FIXED: &str = "\
IdentitiesOnly yes
IdentityAgent none
CertificateFile none
PKCS11Provider none
BatchMode yes
PreferredAuthentications publickey
PasswordAuthentication no
KbdInteractiveAuthentication no
GSSAPIAuthentication no
HostbasedAuthentication no
GlobalKnownHostsFile /dev/null
UpdateHostKeys no
HashKnownHosts no
CheckHostIP no
VerifyHostKeyDNS no
CanonicalizeHostname no
ProxyCommand none
ProxyJump none
ControlMaster no
ControlPath none
ForwardAgent no
ForwardX11 no
ClearAllForwardings yes
Tunnel no
PermitLocalCommand no
AddKeysToAgent no
RequestTTY no
EscapeChar none
ConnectTimeout 20
ConnectionAttempts 1
ServerAliveInterval 15
ServerAliveCountMax 4
LogLevel DEBUG1
";

/// A path as ssh's configuration takes it: quoted, `%` not being a placeholder.
fn quoted(path: &Path) -> String {
    format!("\"{}\"", path.display().to_string().replace('%', "%%"))
}

/// Unix line ends and one at the end: ssh refuses keys without.
fn terminated(text: &str) -> String {
    let text = text.replace("\r\n", "\n");
    format!("{}\n", text.trim_end())
}

fn write_private(path: &Path, text: &str) -> io::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(text.as_bytes())
}
