//! The front threads: each keeps the connections that it was given, and answers from memory without a word to any other.

use std::sync::Arc;
use std::{io, thread};

use anyhow::Context;
use tokio::net::TcpStream;
use tokio::runtime::{self, Handle};
use tokio::sync::{mpsc, watch};
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;

use super::connection::{Phase, Protocol};
use super::service::{Answers, Divided};

/// Somebody who connected; the token counts them as long as they stay.
type Arrival = (std::net::TcpStream, TaskTrackerToken);

/// One thread in the front.
#[derive(Debug)]
pub(super) struct Front {
    arrivals: mpsc::UnboundedSender<Arrival>,
    connections: TaskTracker,
}

/// What every front thread works with.
#[derive(Clone, Debug)]
pub(super) struct Desk<C> {
    pub(super) protocol: Arc<Protocol>,
    /// Makes what answers the requests of one connection.
    pub(super) callers: C,
    /// Where answers are made that have to be waited for.
    pub(super) elsewhere: Handle,
    pub(super) phase: watch::Receiver<Phase>,
}

impl Front {
    /// Starts a thread.
    pub(super) fn start<C, A>(desk: Desk<C>) -> anyhow::Result<Self>
    where
        C: Fn() -> A + Send + 'static,
        A: Answers + Send + 'static,
    {
        let (arrivals, received) = mpsc::unbounded_channel();
        let runtime = runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let work = move || {
            runtime.block_on(desk.work(received));
            // Ends the connections that are left. A read of a file for one of them is not waited for.
            runtime.shutdown_background();
        };
        let started = thread::Builder::new().name("front".to_owned()).spawn(work);
        started.context("a thread for connections cannot be started")?;
        Ok(Self {
            arrivals,
            connections: TaskTracker::new(),
        })
    }

    /// How many connections there are here.
    pub(super) fn load(&self) -> usize {
        self.connections.len()
    }

    /// Hands a connection over.
    pub(super) fn take(&self, stream: TcpStream) -> io::Result<()> {
        // The socket leaves the event loop of this thread.
        let arrival = (stream.into_std()?, self.connections.token());
        let gone = |_| io::Error::other("a thread for connections has ended");
        self.arrivals.send(arrival).map_err(gone)
    }

    /// Comes back when nobody is connected any more.
    pub(super) async fn deserted(&self) {
        self.connections.close();
        self.connections.wait().await;
    }
}

impl<C, A> Desk<C>
where
    C: Fn() -> A,
    A: Answers + Send + 'static,
{
    /// Serves whoever comes until the server is closed.
    async fn work(self, mut arrivals: mpsc::UnboundedReceiver<Arrival>) {
        let mut phase = self.phase.clone();
        let serving = async {
            while let Some((stream, token)) = arrivals.recv().await {
                match TcpStream::from_std(stream) {
                    Ok(stream) => self.serve(stream, token),
                    Err(error) => tracing::error!(%error, "a connection cannot be served"),
                }
            }
            // Nobody comes any more; those who are here stay until the end.
            std::future::pending::<()>().await;
        };
        tokio::select! {
            () = serving => {}
            _ = phase.wait_for(|phase| *phase == Phase::Closed) => {}
        }
    }

    fn serve(&self, stream: TcpStream, token: TaskTrackerToken) {
        let service = Divided {
            answers: (self.callers)(),
            elsewhere: self.elsewhere.clone(),
        };
        let talk = Arc::clone(&self.protocol).converse(stream, service, self.phase.clone());
        tokio::spawn(async move {
            talk.await;
            drop(token);
        });
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::pin::pin;
    use std::sync::{Mutex, mpsc as blocking};
    use std::time::Duration;

    use axum::body::Body;
    use axum::http::{Request, Response};
    use hyper::body::Incoming;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;
    use tokio::time::timeout;

    use super::super::accept::accept;
    use super::super::service::Work;
    use super::*;

    /// Nothing here takes so long unless it never comes.
    const LIMIT: Duration = Duration::from_secs(20);

    /// What becomes of the work on an answer.
    #[derive(Debug, PartialEq)]
    enum Event {
        Begun,
        Dropped,
    }

    /// Says when it is dropped.
    struct Working(mpsc::UnboundedSender<Event>);

    impl Drop for Working {
        fn drop(&mut self) {
            let _ = self.0.send(Event::Dropped);
        }
    }

    /// `/fast` has its answer at once, `/blocking` keeps a thread until it is let go, all others wait until they are.
    #[derive(Clone)]
    struct Sample {
        events: mpsc::UnboundedSender<Event>,
        blocked: Arc<Mutex<blocking::Receiver<()>>>,
        waiting: Arc<tokio::sync::Semaphore>,
    }

    impl Answers for Sample {
        fn at_once(&self, request: &mut Request<Incoming>) -> Option<Response<Body>> {
            (request.uri().path() == "/fast").then(|| Response::new("fast!".into()))
        }

        fn in_full(&self, request: Request<Incoming>) -> impl Work {
            let this = self.clone();
            async move {
                let _working = Working(this.events.clone());
                this.events.send(Event::Begun).unwrap();
                if request.uri().path() == "/blocking" {
                    this.blocked.lock().unwrap().recv().unwrap();
                } else {
                    this.waiting.acquire().await.unwrap().forget();
                }
                Ok::<_, Infallible>(Response::new(Body::from("slow!")))
            }
        }
    }

    /// A server with a single thread in the front.
    struct Server {
        front: Arc<Front>,
        doors: watch::Sender<Phase>,
        address: std::net::SocketAddr,
        events: mpsc::UnboundedReceiver<Event>,
        unblock: blocking::Sender<()>,
        waiting: Arc<tokio::sync::Semaphore>,
    }

    impl Server {
        async fn start() -> Self {
            let (told, events) = mpsc::unbounded_channel();
            let (unblock, blocked) = blocking::channel();
            let waiting = Arc::new(tokio::sync::Semaphore::new(0));
            let sample = Sample {
                events: told,
                blocked: Arc::new(Mutex::new(blocked)),
                waiting: Arc::clone(&waiting),
            };
            let (doors, phase) = watch::channel(Phase::Open);
            let front = Front::start(Desk {
                protocol: Arc::new(Protocol::new(None, LIMIT)),
                callers: move || sample.clone(),
                elsewhere: Handle::current(),
                phase: phase.clone(),
            });
            let front = Arc::new(front.unwrap());
            let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = socket.local_addr().unwrap();
            let taking = Arc::clone(&front);
            let socket = socket.into_std().unwrap();
            let is_crowd = || false;
            tokio::spawn(accept(socket, phase, is_crowd, move |stream| {
                taking.take(stream)
            }));
            Self {
                front,
                doors,
                address,
                events,
                unblock,
                waiting,
            }
        }

        async fn ask(&self, path: &str) -> TcpStream {
            let mut stream = TcpStream::connect(self.address).await.unwrap();
            let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n");
            stream.write_all(request.as_bytes()).await.unwrap();
            stream
        }

        async fn event(&mut self) -> Event {
            timeout(LIMIT, self.events.recv()).await.unwrap().unwrap()
        }
    }

    /// What comes until the end of a body, or of the connection.
    async fn answer(stream: &mut TcpStream) -> String {
        let mut text = String::new();
        while !text.ends_with('!') {
            match timeout(LIMIT, stream.read_u8()).await.unwrap() {
                Ok(byte) => text.push(byte.into()),
                Err(_) => break,
            }
        }
        text
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn whoever_blocks_a_thread_holds_up_nobody_in_the_front() {
        let mut server = Server::start().await;
        let mut slow = server.ask("/blocking").await;
        assert_eq!(server.event().await, Event::Begun);
        let mut fast = server.ask("/fast").await;
        assert!(answer(&mut fast).await.ends_with("fast!"));
        server.unblock.send(()).unwrap();
        assert!(answer(&mut slow).await.ends_with("slow!"));
    }

    #[tokio::test]
    async fn work_ends_when_the_client_goes_away() {
        let mut server = Server::start().await;
        let client = server.ask("/waiting").await;
        assert_eq!(server.event().await, Event::Begun);
        drop(client);
        assert_eq!(server.event().await, Event::Dropped);
    }

    #[tokio::test]
    async fn a_server_that_drains_answers_what_it_began_and_closes_the_rest() {
        let mut server = Server::start().await;
        let (mut idle, mut silent) = (
            server.ask("/fast").await,
            TcpStream::connect(server.address).await.unwrap(),
        );
        assert!(answer(&mut idle).await.ends_with("fast!"));
        let mut running = server.ask("/waiting").await;
        assert_eq!(server.event().await, Event::Begun);
        server.doors.send_replace(Phase::Draining);
        assert_eq!(answer(&mut idle).await, "");
        assert_eq!(answer(&mut silent).await, "");
        let mut deserted = pin!(server.front.deserted());
        assert!(futures::poll!(deserted.as_mut()).is_pending());
        server.waiting.add_permits(1);
        assert!(answer(&mut running).await.ends_with("slow!"));
        assert_eq!(answer(&mut running).await, "", "it was the last one");
        timeout(LIMIT, deserted).await.unwrap();
    }

    #[tokio::test]
    async fn a_server_that_is_closed_waits_for_nobody() {
        let mut server = Server::start().await;
        let mut running = server.ask("/waiting").await;
        assert_eq!(server.event().await, Event::Begun);
        server.doors.send_replace(Phase::Closed);
        assert_eq!(answer(&mut running).await, "");
        assert_eq!(server.event().await, Event::Dropped);
        timeout(LIMIT, server.front.deserted()).await.unwrap();
    }
}
