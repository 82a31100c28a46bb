//! One way to a repository, prepared: its host resolved and checked, the address pinned, the credential at hand.

use std::net::IpAddr;

use kapelle_outbound::{HostPermit, OutboundError};

use crate::classify;
use crate::command::{Finished, GitCommand};
use crate::error::VcsError;
use crate::git::{Access, Git};
use crate::host_key::HostKey;
use crate::protocol::Protocol;
use crate::ssh::SshFiles;
use crate::url::RepositoryUrl;

/// Everything git needs to reach one repository, and nothing else.
pub(crate) struct Connection {
    /// What git is given as its address.
    target: String,
    environment: Vec<(&'static str, String)>,
    settings: Vec<(String, String)>,
    secrets: Vec<String>,
    ssh: Option<SshFiles>,
    pub(crate) context: Context,
    _permit: Option<HostPermit>,
}

/// What is needed to explain a failure.
pub(crate) struct Context {
    pub(crate) url: RepositoryUrl,
    pub(crate) with_credential: bool,
    /// The known keys of this host.
    pub(crate) known: Vec<HostKey>,
}

impl Connection {
    /// Checks protocol and addresses, waits for a place at the host, writes the files that ssh needs.
    pub(crate) async fn open(git: &Git, access: &Access<'_>) -> Result<Self, VcsError> {
        let url = access.url;
        check(git, access)?;
        let addresses = resolve(git, url).await?;
        let permit = match url.host_and_port() {
            Some((host, _)) => Some(git.config().outbound.host_permit(host).await),
            None => None,
        };
        let mut connection = Self {
            target: url.to_string(),
            environment: vec![("GIT_ALLOW_PROTOCOL", url.protocol().name().to_owned())],
            settings: Vec::new(),
            secrets: access.credential.map_or_else(Vec::new, |c| c.secrets(url)),
            ssh: None,
            context: Context::new(access),
            _permit: permit,
        };
        match (url.protocol(), addresses.first()) {
            (Protocol::Https | Protocol::Http, _) => connection.over_http(access, &addresses),
            (Protocol::Ssh, Some(address)) => connection.over_ssh(access, *address)?,
            (Protocol::Git, Some(address)) => connection.over_git(url, *address),
            (Protocol::Ssh | Protocol::Git, None) | (Protocol::File, _) => {}
        }
        Ok(connection)
    }

    /// A git command that may use this way. Its last arguments become `-- ADDRESS`.
    pub(crate) fn prepare(&self, command: GitCommand) -> GitCommand {
        let command = self
            .environment
            .iter()
            .fold(command, |command, (name, value)| command.env(name, value));
        command
            .settings(self.settings.iter().cloned())
            .secrets(&self.secrets)
            .argument("--")
            .argument(&self.target)
    }

    /// The error that a finished command means, if it failed.
    pub(crate) fn judge(&self, doing: &str, finished: &Finished) -> Result<(), VcsError> {
        if finished.success {
            return Ok(());
        }
        Err(classify::remote(&self.context, doing, &finished.stderr))
    }

    /// Keys of the host that ssh accepted during this connection.
    pub(crate) fn new_host_keys(&self) -> Result<Vec<HostKey>, VcsError> {
        self.ssh
            .as_ref()
            .map_or_else(|| Ok(Vec::new()), |ssh| ssh.accepted(&self.context.known))
    }

    /// All addresses at once; the credential as a header for this origin only.
    fn over_http(&mut self, access: &Access<'_>, addresses: &[IpAddr]) {
        let url = access.url;
        if let Some((host, port)) = url.host_and_port()
            && host.parse::<IpAddr>().is_err()
        {
            let addresses: Vec<_> = addresses.iter().map(bracketed).collect();
            let pin = format!("{host}:{port}:{}", addresses.join(","));
            self.settings.push(("http.curloptResolve".to_owned(), pin));
        }
        if let Some((name, value)) = access.credential.and_then(|c| c.header(url)) {
            let key = format!("http.{}://{}/.extraHeader", url.protocol(), url.authority());
            self.settings.push((key, format!("{name}: {value}")));
        }
    }

    fn over_ssh(&mut self, access: &Access<'_>, address: IpAddr) -> Result<(), VcsError> {
        let files = SshFiles::write(access, &self.context.known, address)?;
        self.environment.push(("GIT_SSH_COMMAND", files.command()));
        self.environment.push(("GIT_SSH_VARIANT", "ssh".to_owned()));
        self.ssh = Some(files);
        Ok(())
    }

    /// The git protocol has no certificate that would need the name: git connects to the address itself.
    fn over_git(&mut self, url: &RepositoryUrl, address: IpAddr) {
        self.environment
            .push(("GIT_OVERRIDE_VIRTUAL_HOST", url.authority()));
        let port = url.port.map_or_else(String::new, |port| format!(":{port}"));
        self.target = format!("git://{}{port}{}", bracketed(&address), url.path);
    }
}

impl Context {
    fn new(access: &Access<'_>) -> Self {
        let host = HostKey::host_of(access.url);
        let known = access
            .known_hosts
            .iter()
            .filter(|key| Some(&key.host) == host.as_ref())
            .cloned()
            .collect();
        Self {
            url: access.url.clone(),
            with_credential: access.credential.is_some(),
            known,
        }
    }

    /// Host and port, or "this machine".
    pub(crate) fn host(&self) -> String {
        match self.url.protocol() {
            Protocol::File => "this machine".to_owned(),
            _ => self.url.authority(),
        }
    }
}

/// What can be refused before anything is contacted.
fn check(git: &Git, access: &Access<'_>) -> Result<(), VcsError> {
    let protocol = access.url.protocol();
    let url = || access.url.to_string();
    if !git.config().protocols.allow(protocol) {
        return Err(VcsError::ProtocolNotAllowed {
            url: url(),
            protocol,
        });
    }
    if protocol == Protocol::File && git.owns(access.url.path.as_ref()) {
        return Err(VcsError::ForbiddenPath { url: url() });
    }
    let Some(credential) = access.credential else {
        return Ok(());
    };
    let over_http = credential.header(access.url).is_some();
    let advice = match protocol {
        Protocol::Https | Protocol::Http if !over_http => {
            "store a user name and password or a token for this host, or use the repository's ssh URL"
        }
        Protocol::Ssh if over_http => {
            "store an ssh key for this host, or use the repository's https URL"
        }
        _ => return Ok(()),
    };
    Err(VcsError::CredentialKind {
        url: url(),
        protocol,
        advice,
    })
}

/// The checked addresses of the host; none for files.
async fn resolve(git: &Git, url: &RepositoryUrl) -> Result<Vec<IpAddr>, VcsError> {
    let Some((host, port)) = url.host_and_port() else {
        return Ok(Vec::new());
    };
    let outcome = git.config().outbound.resolve(host, port).await;
    let addresses = outcome.map_err(|error| refused(url, error))?;
    if addresses.is_empty() {
        return Err(VcsError::Unreachable {
            host: url.authority(),
            detail: "its name has no address".to_owned(),
        });
    }
    Ok(addresses)
}

/// An error of our own client as an error about a repository.
pub(crate) fn refused(url: &RepositoryUrl, error: OutboundError) -> VcsError {
    let detail = error.to_string();
    match error {
        OutboundError::Forbidden { .. } => VcsError::ForbiddenAddress {
            url: url.to_string(),
            source: error,
        },
        OutboundError::Downgrade { .. }
        | OutboundError::InvalidRedirect { .. }
        | OutboundError::Scheme { .. }
        | OutboundError::TooManyRedirects { .. }
        | OutboundError::UserInformation { .. } => VcsError::Redirected {
            url: url.to_string(),
            detail,
        },
        _ => VcsError::Unreachable {
            host: url.authority(),
            detail,
        },
    }
}

fn bracketed(address: &IpAddr) -> String {
    match address {
        IpAddr::V4(v4) => v4.to_string(),
        IpAddr::V6(v6) => format!("[{v6}]"),
    }
}
