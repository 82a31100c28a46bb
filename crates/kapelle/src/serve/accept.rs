//! Taking connections from a listening socket, whatever happens to single ones or to the room for more.

use std::io::{self, ErrorKind};
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use super::connection::Phase;

/// How long nobody is let in after the system had no room for one more.
const REST: Duration = Duration::from_millis(50);

/// Gives everybody who connects to `take`, until the server drains. Fails only if `take` does.
pub(super) async fn accept(
    socket: std::net::TcpListener,
    mut phase: watch::Receiver<Phase>,
    take: impl FnMut(TcpStream) -> io::Result<()>,
) -> io::Result<()> {
    let socket = TcpListener::from_std(socket)?;
    tokio::select! {
        failed = accept_all(&socket, take) => failed,
        _ = phase.changed() => Ok(()),
    }
}

async fn accept_all(
    socket: &TcpListener,
    mut take: impl FnMut(TcpStream) -> io::Result<()>,
) -> io::Result<()> {
    let mut is_full = false;
    loop {
        match socket.accept().await {
            Ok((stream, _)) => {
                is_full = false;
                if let Err(error) = stream.set_nodelay(true) {
                    tracing::debug!(%error, "a connection ended before it began");
                }
                take(stream)?;
            }
            Err(error) if is_the_clients(&error) => {}
            Err(error) => {
                if !is_full {
                    tracing::error!(%error, "no connection can be accepted; trying again until one can");
                }
                is_full = true;
                tokio::time::sleep(REST).await;
            }
        }
    }
}

/// Whether only the one who came is concerned, and is gone.
fn is_the_clients(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset | ErrorKind::ConnectionRefused
    )
}
