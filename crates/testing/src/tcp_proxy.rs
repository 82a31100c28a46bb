//! A network that fails when the test says so: a TCP proxy that is put between two parties.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinSet};

/// What happens to bytes and to new connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Weather {
    /// Everything is passed on.
    Clear,
    /// Connections are accepted and stay open, and nothing is passed on.
    BlackHole,
}

/// A proxy on a free loopback port. Dropping it closes the port and every connection.
#[derive(Debug)]
pub struct TcpProxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    listening: Mutex<Option<AbortHandle>>,
}

#[derive(Debug)]
struct Shared {
    target: SocketAddr,
    weather: watch::Sender<Weather>,
    /// Connections of an earlier era are never served again.
    era: watch::Sender<u64>,
    connections: Mutex<JoinSet<()>>,
}

impl TcpProxy {
    /// Passes connections on to `target`.
    pub async fn to(target: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0")
            .await
            .expect("loopback has a free port");
        let proxy = Self {
            address: listener.local_addr().expect("it is bound"),
            shared: Arc::new(Shared {
                target,
                weather: watch::Sender::new(Weather::Clear),
                era: watch::Sender::new(0),
                connections: Mutex::default(),
            }),
            listening: Mutex::default(),
        };
        proxy.listen(listener);
        proxy
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Closes every connection. New ones are taken.
    pub fn cut(&self) {
        self.shared.cut();
    }

    /// Closes every connection, and takes no new ones until [`restore`](Self::restore).
    pub fn refuse(&self) {
        if let Some(listening) = lock(&self.listening).take() {
            listening.abort();
        }
        self.shared.cut();
    }

    /// Passes nothing on until [`restore`](Self::restore), and closes nothing: packets are lost without a word.
    pub fn black_hole(&self) {
        self.shared.weather.send_replace(Weather::BlackHole);
    }

    /// Never passes anything on again for the connections there are, and does not close them either, as a firewall
    /// that has forgotten them. New ones are as good as the weather.
    pub fn forget(&self) {
        self.shared.era.send_modify(|era| *era += 1);
    }

    /// Passes everything on again; also what a black hole has kept.
    pub async fn restore(&self) {
        self.shared.weather.send_replace(Weather::Clear);
        if lock(&self.listening).is_none() {
            self.listen(bind_again(self.address).await);
        }
    }

    /// How many connections are open.
    pub fn connections(&self) -> usize {
        let mut connections = lock(&self.shared.connections);
        while connections.try_join_next().is_some() {}
        connections.len()
    }

    fn listen(&self, listener: TcpListener) {
        let task = tokio::spawn(accept(listener, Arc::clone(&self.shared)));
        *lock(&self.listening) = Some(task.abort_handle());
    }
}

impl Drop for TcpProxy {
    fn drop(&mut self) {
        self.refuse();
    }
}

impl Shared {
    fn cut(&self) {
        lock(&self.connections).abort_all();
    }
}

/// The port may still be in use for a moment by the task that was told to end.
async fn bind_again(address: SocketAddr) -> TcpListener {
    for _ in 0..200 {
        match TcpListener::bind(address).await {
            Ok(listener) => return listener,
            Err(_) => tokio::time::sleep(Duration::from_millis(25)).await,
        }
    }
    panic!("{address} cannot be listened on again");
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    loop {
        // A client that is gone before it is taken is nobody's fault.
        let Ok((client, _)) = listener.accept().await else {
            continue;
        };
        let serving = serve(client, Arc::clone(&shared));
        lock(&shared.connections).spawn(serving);
    }
}

async fn serve(client: TcpStream, shared: Arc<Shared>) {
    let mut gate = Gate {
        weather: shared.weather.subscribe(),
        era: shared.era.subscribe(),
        born: *shared.era.borrow(),
    };
    gate.pass().await;
    let Ok(server) = TcpStream::connect(shared.target).await else {
        return;
    };
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    // The first end of one side is the end of both: nobody here half-closes.
    tokio::select! {
        _ = carry(from_client, to_server, gate.clone()) => {}
        _ = carry(from_server, to_client, gate) => {}
    }
}

async fn carry(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    mut gate: Gate,
) -> io::Result<()> {
    let mut bytes = vec![0; 16 * 1024];
    loop {
        let read = from.read(&mut bytes).await?;
        // Also the news that a side has closed does not get through.
        gate.pass().await;
        if read == 0 {
            return Ok(());
        }
        to.write_all(&bytes[..read]).await?;
    }
}

/// Whether a connection's bytes may go on.
#[derive(Clone)]
struct Gate {
    weather: watch::Receiver<Weather>,
    era: watch::Receiver<u64>,
    born: u64,
}

impl Gate {
    async fn pass(&mut self) {
        let clear = self.weather.wait_for(|weather| *weather == Weather::Clear);
        if clear.await.is_err() || *self.era.borrow() != self.born {
            std::future::pending::<()>().await;
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
