//! Taking connections from a listening socket, whatever happens to single ones or to the room for more.

use std::io::{self, ErrorKind};
use std::time::{Duration, Instant};

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use super::connection::Phase;

/// How long nobody is let in after the system had no room for one more.
const REST: Duration = Duration::from_millis(50);
/// How long nothing more is said about that.
const SILENCE: Duration = Duration::from_mins(1);

/// Gives everybody who connects to `take`, until the server drains; while there `is_crowd`, whoever comes waits outside. Fails
/// only if `take` does.
pub(super) async fn accept(
    socket: std::net::TcpListener,
    mut phase: watch::Receiver<Phase>,
    is_crowd: impl Fn() -> bool,
    take: impl FnMut(TcpStream) -> io::Result<()>,
) -> io::Result<()> {
    let socket = TcpListener::from_std(socket)?;
    tokio::select! {
        failed = accept_all(&socket, is_crowd, take) => failed,
        _ = phase.changed() => Ok(()),
    }
}

async fn accept_all(
    socket: &TcpListener,
    is_crowd: impl Fn() -> bool,
    mut take: impl FnMut(TcpStream) -> io::Result<()>,
) -> io::Result<()> {
    let mut told = None;
    loop {
        if is_crowd() {
            if is_time_to_tell(&mut told) {
                tracing::error!(
                    "there are as many connections as the limit on open files allows: raise it (LimitNOFILE)"
                );
            }
            tokio::time::sleep(REST).await;
            continue;
        }
        match socket.accept().await {
            Ok((stream, _)) => {
                if let Err(error) = stream.set_nodelay(true) {
                    tracing::debug!(%error, "a connection ended before it began");
                }
                take(stream)?;
            }
            Err(error) if is_the_clients(&error) => {}
            Err(error) => {
                if is_time_to_tell(&mut told) {
                    tracing::error!(%error, "no connection can be accepted; trying again until one can");
                }
                tokio::time::sleep(REST).await;
            }
        }
    }
}

/// Whether it is long enough ago that somebody was told that there is no room.
fn is_time_to_tell(told: &mut Option<Instant>) -> bool {
    let is_time = told.is_none_or(|told| told.elapsed() >= SILENCE);
    if is_time {
        *told = Some(Instant::now());
    }
    is_time
}

/// Whether only the one who came is concerned, and is gone.
fn is_the_clients(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset | ErrorKind::ConnectionRefused
    )
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    use tokio::sync::mpsc;
    use tokio::time::timeout;

    use super::*;

    #[tokio::test]
    async fn who_comes_into_a_crowd_waits_outside() {
        let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        socket.set_nonblocking(true).unwrap();
        let address = socket.local_addr().unwrap();
        let (doors, phase) = watch::channel(Phase::Open);
        let (taken, mut arrivals) = mpsc::unbounded_channel();
        let crowd = Arc::new(AtomicBool::new(true));
        let is_crowd = Arc::clone(&crowd);
        let accepting = tokio::spawn(accept(
            socket,
            phase,
            move || is_crowd.load(Ordering::SeqCst),
            move |stream| taken.send(stream).map_err(io::Error::other),
        ));
        let _client = TcpStream::connect(address).await.unwrap();
        assert!(timeout(REST * 3, arrivals.recv()).await.is_err());
        crowd.store(false, Ordering::SeqCst);
        assert!(arrivals.recv().await.is_some());
        doors.send_replace(Phase::Draining);
        accepting.await.unwrap().unwrap();
    }
}
