//! A smart HTTP server for fixture repositories, in this process, with or without TLS.

use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::Response;
use axum_server::tls_rustls::RustlsConfig;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;
use tokio::task::AbortHandle;

use crate::git::git_command;
use crate::git_fault::{Fault, Stage};

/// The largest request of a client that a test sends.
const MAX_REQUEST: usize = 64 << 20;

/// A request as the server saw it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GitRequest {
    /// Its method, path and query: `GET /acme/lib.git/info/refs?service=git-upload-pack`.
    pub line: String,
    /// Its `Authorization`.
    pub authorization: Option<String>,
}

/// What a [`GitServer`] serves, before it is started.
#[derive(Clone, Debug, Default)]
#[must_use = "nothing is served before `start`"]
pub struct GitServerBuilder {
    repositories: BTreeMap<String, PathBuf>,
    redirects: BTreeMap<String, String>,
    authorization: Option<String>,
    fault: Option<(Stage, Fault)>,
}

/// Repositories over smart HTTP on a free loopback port. Dropping it closes the port.
#[derive(Debug)]
pub struct GitServer {
    address: SocketAddr,
    certificate: Option<String>,
    shared: Arc<Shared>,
    task: AbortHandle,
}

#[derive(Debug)]
struct Shared {
    builder: Mutex<GitServerBuilder>,
    requests: Mutex<Vec<GitRequest>>,
}

impl GitServerBuilder {
    /// Serves a bare repository under a path such as `acme/lib.git`.
    pub fn repository(mut self, path: &str, folder: impl Into<PathBuf>) -> Self {
        self.repositories.insert(path.to_owned(), folder.into());
        self
    }

    /// Answers everything under a path with 301 to the same below a URL.
    pub fn redirect(mut self, path: &str, url: &str) -> Self {
        self.redirects.insert(path.to_owned(), url.to_owned());
        self
    }

    /// Asks everyone for a user name and a password.
    pub fn basic_auth(mut self, username: &str, password: &str) -> Self {
        let pair = STANDARD.encode(format!("{username}:{password}"));
        self.authorization = Some(format!("Basic {pair}"));
        self
    }

    /// Spoils the answers of a stage.
    pub fn fault(mut self, stage: Stage, fault: Fault) -> Self {
        self.fault = Some((stage, fault));
        self
    }

    /// Spoils nothing any more.
    pub fn without_fault(mut self) -> Self {
        self.fault = None;
        self
    }

    /// Starts to listen, without TLS.
    pub async fn start(self) -> GitServer {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
            .await
            .expect("loopback has a free port");
        let address = listener.local_addr().expect("it is bound");
        let shared = Shared::of(self);
        let app = Shared::app(&shared);
        let task = tokio::spawn(async move { axum::serve(listener, app).await });
        GitServer {
            address,
            certificate: None,
            shared,
            task: task.abort_handle(),
        }
    }

    /// Starts to listen with TLS; its certificate, which nobody has signed, is for the given hosts.
    pub async fn start_tls(self, hosts: &[&str]) -> GitServer {
        let hosts: Vec<_> = hosts.iter().map(|host| (*host).to_owned()).collect();
        let made = rcgen::generate_simple_self_signed(hosts).expect("a certificate can be made");
        let (certificate, key) = (made.cert.pem(), made.signing_key.serialize_pem());
        let config = RustlsConfig::from_pem(certificate.clone().into(), key.into())
            .await
            .expect("certificate and key fit together");
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
        listener
            .set_nonblocking(true)
            .expect("a socket can be made non-blocking");
        let address = listener.local_addr().expect("it is bound");
        let shared = Shared::of(self);
        let server = axum_server::from_tcp_rustls(listener, config)
            .expect("the socket is fit for serving")
            .serve(Shared::app(&shared).into_make_service());
        GitServer {
            address,
            certificate: Some(certificate),
            shared,
            task: tokio::spawn(server).abort_handle(),
        }
    }
}

impl Shared {
    fn of(builder: GitServerBuilder) -> Arc<Self> {
        Arc::new(Self {
            builder: Mutex::new(builder),
            requests: Mutex::default(),
        })
    }

    fn app(shared: &Arc<Self>) -> Router {
        Router::new()
            .fallback(answer)
            .with_state(Arc::clone(shared))
    }
}

impl GitServer {
    /// What to serve.
    pub fn builder() -> GitServerBuilder {
        GitServerBuilder::default()
    }

    /// Serves one repository under `acme/lib.git`.
    pub async fn of(repository: &crate::git::GitRepository) -> Self {
        Self::builder()
            .repository("acme/lib.git", repository.path())
            .start()
            .await
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The URL of a path.
    pub fn url(&self, path: &str) -> String {
        let scheme = if self.certificate.is_some() {
            "https"
        } else {
            "http"
        };
        format!("{scheme}://{}/{path}", self.address)
    }

    /// With TLS, its certificate in PEM.
    pub fn certificate(&self) -> Option<&str> {
        self.certificate.as_deref()
    }

    /// Every request so far, in order.
    pub fn requests(&self) -> Vec<GitRequest> {
        lock(&self.shared.requests).clone()
    }

    /// Changes what is served from now on.
    pub fn change(&self, change: impl FnOnce(GitServerBuilder) -> GitServerBuilder) {
        let mut builder = lock(&self.shared.builder);
        *builder = change(std::mem::take(&mut *builder));
    }
}

impl Drop for GitServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn answer(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let seen = record(&request);
    lock(&shared.requests).push(seen.clone());
    let builder = lock(&shared.builder).clone();
    let path = request.uri().path().trim_start_matches('/').to_owned();
    let below = |prefix: &str| {
        let rest = path.strip_prefix(prefix)?;
        (rest.is_empty() || rest.starts_with('/')).then(|| rest.to_owned())
    };
    if builder.authorization.is_some() && seen.authorization != builder.authorization {
        return plain(StatusCode::UNAUTHORIZED, "who are you?");
    }
    for (prefix, url) in &builder.redirects {
        if let Some(rest) = below(prefix) {
            let query = request
                .uri()
                .query()
                .map_or_else(String::new, |q| format!("?{q}"));
            let mut response = plain(StatusCode::MOVED_PERMANENTLY, "moved");
            let location = format!("{url}{rest}{query}");
            let location = location.parse().expect("a test redirects to a URL");
            response.headers_mut().insert(header::LOCATION, location);
            return response;
        }
    }
    for (prefix, folder) in &builder.repositories {
        if let Some(rest) = below(prefix) {
            return backend(folder, &rest, request, builder.fault.as_ref()).await;
        }
    }
    plain(StatusCode::NOT_FOUND, "no such repository")
}

fn record(request: &Request) -> GitRequest {
    let target = request.uri().path_and_query().map_or("/", |p| p.as_str());
    GitRequest {
        line: format!("{} {target}", request.method()),
        authorization: text(request.headers(), "authorization"),
    }
}

/// Runs `git http-backend` as a web server would, and spoils its answer if it has to be.
async fn backend(
    folder: &Path,
    path: &str,
    request: Request,
    fault: Option<&(Stage, Fault)>,
) -> Response {
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, MAX_REQUEST)
        .await
        .expect("a client of ours sends whole bodies");
    let mut command = Command::from(git_command());
    command
        .arg("http-backend")
        .env("GIT_PROJECT_ROOT", folder)
        .env("GIT_HTTP_EXPORT_ALL", "1")
        .env("PATH_INFO", path)
        .env("REQUEST_METHOD", parts.method.as_str())
        .env("QUERY_STRING", parts.uri.query().unwrap_or_default())
        .env("CONTENT_LENGTH", body.len().to_string());
    let stage = Stage::of(&body);
    let passed = [
        ("content-type", "CONTENT_TYPE"),
        ("content-encoding", "HTTP_CONTENT_ENCODING"),
        ("git-protocol", "GIT_PROTOCOL"),
    ];
    for (name, variable) in passed {
        if let Some(value) = text(&parts.headers, name) {
            command.env(variable, value);
        }
    }
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .expect("git is installed");
    let mut stdin = child.stdin.take().expect("stdin was piped just above");
    let write = async move { stdin.write_all(&body).await };
    let (written, output) = tokio::join!(write, child.wait_with_output());
    let output = output.expect("the child was started");
    // The backend answers some requests without reading their bodies.
    drop(written);
    let answer = from_cgi(&output.stdout);
    match fault {
        Some((faulty, fault)) if *faulty == stage => fault.clone().spoil(answer).await,
        _ => answer,
    }
}

fn from_cgi(output: &[u8]) -> Response {
    let end = output.windows(4).position(|window| window == b"\r\n\r\n");
    let Some(end) = end else {
        return plain(StatusCode::INTERNAL_SERVER_ERROR, "git http-backend failed");
    };
    let mut response = Response::new(Body::from(output[end + 4..].to_vec()));
    for line in String::from_utf8_lossy(&output[..end]).lines() {
        let Some((name, value)) = line.split_once(": ") else {
            continue;
        };
        if name == "Status" {
            let code = value.split(' ').next().and_then(|code| code.parse().ok());
            *response.status_mut() = code.expect("git http-backend writes a status");
        } else {
            let name: header::HeaderName = name.parse().expect("git writes header names");
            let value = value.parse().expect("git writes header values");
            response.headers_mut().insert(name, value);
        }
    }
    response
}

fn plain(status: StatusCode, text: &'static str) -> Response {
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = status;
    if status == StatusCode::UNAUTHORIZED {
        let challenge = "Basic realm=\"git\"".parse().expect("it is a header value");
        response
            .headers_mut()
            .insert(header::WWW_AUTHENTICATE, challenge);
    }
    response
}

fn text(headers: &HeaderMap, name: &str) -> Option<String> {
    Some(headers.get(name)?.to_str().ok()?.to_owned())
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
