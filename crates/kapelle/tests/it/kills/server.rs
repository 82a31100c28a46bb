//! The server that runs now. In the place of one that was killed comes another one, once.

use std::fmt;
use std::os::unix::process::ExitStatusExt;

use kapelle_testing::process::Process;

const SIGKILL: i32 = 9;

pub(super) struct Server<'s> {
    process: Process,
    again: Box<dyn Fn() -> Process + 's>,
    /// Where it listens; unknown until it says so.
    url: Option<String>,
    killed: bool,
}

impl<'s> Server<'s> {
    /// `again` starts the one that nobody kills.
    pub(super) fn new(first: Process, again: impl Fn() -> Process + 's) -> Self {
        Self {
            process: first,
            again: Box::new(again),
            url: None,
            killed: false,
        }
    }

    /// Whether the first one was killed.
    pub(super) fn killed(&self) -> bool {
        self.killed
    }

    pub(super) fn log(&self) -> String {
        self.process.log()
    }

    /// An answer whose body is complete; whoever is cut off asks again. `request` is given where the server is.
    pub(super) async fn ask(
        &mut self,
        request: impl Fn(&str) -> reqwest::RequestBuilder,
    ) -> (u16, Vec<u8>) {
        loop {
            let request = request(&self.url().await);
            let answered = async {
                let response = request.send().await?;
                let status = response.status().as_u16();
                Ok::<_, reqwest::Error>((status, response.bytes().await?.to_vec()))
            };
            match answered.await {
                Ok(answer) => return answer,
                Err(_) => self.replace().await,
            }
        }
    }

    /// Ends it; says whether it, or the one before it, was killed.
    pub(super) async fn end(self) -> bool {
        let ended = self.process.terminate().await;
        let killed = self.killed || ended.status.signal() == Some(SIGKILL);
        assert!(killed || ended.status.success(), "{ended:?}");
        killed
    }

    async fn url(&mut self) -> String {
        loop {
            if let Some(url) = &self.url {
                return url.clone();
            }
            match self.process.url_or_end("listening on").await {
                Some(url) => self.url = Some(url),
                None => self.replace().await,
            }
        }
    }

    async fn replace(&mut self) {
        let ended = self.process.end().await;
        assert!(
            !self.killed && ended.status.signal() == Some(SIGKILL),
            "nobody killed this server: {ended:?}"
        );
        self.killed = true;
        self.process = (self.again)();
        self.url = None;
    }
}

impl fmt::Debug for Server<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Server({:?})", self.url)
    }
}
