//! The real sshd on a free loopback port, with keys of its own.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use std::os::fd::OwnedFd;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::task::AbortHandle;

use crate::git::run;

/// An ssh server that lets the user who runs the tests in, with one key. Dropping it closes the port.
///
/// Each connection gets an sshd of its own, as from inetd, so a replaced host key holds from the next one on.
#[derive(Debug)]
pub struct SshServer {
    folder: Arc<TempDir>,
    address: SocketAddr,
    user: String,
    connections: Arc<AtomicUsize>,
    task: AbortHandle,
}

impl SshServer {
    /// Makes keys and starts to listen.
    pub async fn start() -> Self {
        let folder = Arc::new(tempfile::tempdir().expect("a temporary folder can be made"));
        let path = folder.path();
        make_key(&path.join("host_key"));
        make_key(&path.join("client_key"));
        fs::copy(path.join("client_key.pub"), path.join("authorized_keys"))
            .expect("ssh-keygen has made a public key");
        fs::write(path.join("config"), config(path)).expect("the folder can be written");
        prepare_privilege_separation();
        let listener = TcpListener::bind("127.0.0.1:0")
            .await
            .expect("loopback has a free port");
        let address = listener.local_addr().expect("it is bound");
        let connections = Arc::new(AtomicUsize::new(0));
        let task = tokio::spawn(accept(
            listener,
            Arc::clone(&folder),
            Arc::clone(&connections),
        ));
        let mut id = Command::new("id");
        id.arg("-un");
        Self {
            folder,
            address,
            user: run(id, b""),
            connections,
            task: task.abort_handle(),
        }
    }

    /// `ssh://user@127.0.0.1:port/path` of a local folder.
    pub fn url(&self, path: &Path) -> String {
        format!("ssh://{}@{}{}", self.user, self.address, path.display())
    }

    /// The private key that is let in.
    pub fn private_key(&self) -> String {
        fs::read_to_string(self.folder.path().join("client_key"))
            .expect("ssh-keygen has made a private key")
    }

    /// A private key that is not let in.
    pub fn wrong_key(&self) -> String {
        let path = self.folder.path().join("wrong_key");
        if !path.exists() {
            make_key(&path);
        }
        fs::read_to_string(path).expect("ssh-keygen has made a private key")
    }

    /// The server gets another host key.
    pub fn replace_host_key(&self) {
        let path = self.folder.path().join("host_key");
        fs::remove_file(&path).expect("there is a host key");
        make_key(&path);
    }

    /// The fingerprint of the server's present key, as ssh-keygen shows it: `SHA256:…`.
    pub fn fingerprint(&self) -> String {
        let mut command = Command::new("ssh-keygen");
        command
            .arg("-lf")
            .arg(self.folder.path().join("host_key.pub"));
        let line = run(command, b"");
        line.split(' ')
            .nth(1)
            .expect("ssh-keygen prints size, fingerprint, comment")
            .to_owned()
    }

    /// How many connections were made so far.
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }

    /// What sshd has logged so far.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }
}

impl Drop for SshServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(listener: TcpListener, folder: Arc<TempDir>, connections: Arc<AtomicUsize>) {
    while let Ok((stream, _)) = listener.accept().await {
        connections.fetch_add(1, Ordering::Relaxed);
        let started = stream
            .into_std()
            .and_then(|stream| {
                stream.set_nonblocking(false)?;
                Ok(OwnedFd::from(stream))
            })
            .and_then(|socket| serve(folder.path(), socket));
        if let Ok(mut child) = started {
            // It ends with its connection; waiting for it leaves no zombie.
            tokio::task::spawn_blocking(move || child.wait());
        }
    }
}

fn serve(folder: &Path, socket: OwnedFd) -> std::io::Result<std::process::Child> {
    let log = fs::File::options()
        .append(true)
        .create(true)
        .open(folder.join("log"))?;
    Command::new(sshd())
        .args(["-i", "-e", "-f"])
        .arg(folder.join("config"))
        .stdin(Stdio::from(socket.try_clone()?))
        .stdout(Stdio::from(socket))
        .stderr(log)
        .spawn()
}

/// Without strict modes: the temporary folder is writable for others, its contents are not.
fn config(folder: &Path) -> String {
    format!(
        "HostKey {0}/host_key\n\
         AuthorizedKeysFile {0}/authorized_keys\n\
         StrictModes no\n\
         UsePAM no\n\
         PermitRootLogin prohibit-password\n\
         PasswordAuthentication no\n\
         KbdInteractiveAuthentication no\n\
         PidFile none\n\
         AcceptEnv GIT_PROTOCOL\n\
         LogLevel VERBOSE\n",
        folder.display()
    )
}

fn make_key(path: &Path) {
    let mut command = Command::new("ssh-keygen");
    command
        .args(["-q", "-t", "ed25519", "-N", "", "-C", "tester", "-f"])
        .arg(path);
    // It asks before it overwrites a public key.
    run(command, b"y\n");
}

/// sshd insists on an absolute path to itself.
fn sshd() -> PathBuf {
    ["/usr/sbin/sshd", "/usr/local/sbin/sshd", "/usr/bin/sshd"]
        .iter()
        .map(PathBuf::from)
        .find(|path| path.exists())
        .expect("sshd is installed (package openssh-server)")
}

/// As root, sshd wants a folder that only a service start would make.
fn prepare_privilege_separation() {
    let folder = Path::new("/run/sshd");
    if !folder.exists() {
        // Without the right to make it we are not root, and sshd does not need it.
        drop(fs::create_dir_all(folder));
    }
}
