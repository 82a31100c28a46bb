//! An S3 server inside the test process, over a temporary folder.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

use axum::http::Request;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use s3s::auth::SimpleAuth;
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s_fs::FileSystem;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::s3_fault::{Faults, S3Failing};

/// A running S3 server with one empty bucket. It stops, and its folder goes, when this is dropped.
#[derive(Debug)]
pub struct S3Server {
    address: SocketAddr,
    folder: TempDir,
    faults: Arc<Faults>,
    accepting: JoinHandle<()>,
}

impl S3Server {
    /// The name of the bucket that exists from the start.
    pub const BUCKET: &'static str = "kapelle";
    /// The access key id that the server accepts.
    pub const ACCESS_KEY: &'static str = "test-access-key";
    /// The secret that belongs to [`Self::ACCESS_KEY`].
    pub const SECRET_KEY: &'static str = "test-secret-key";
    /// The region to sign for.
    pub const REGION: &'static str = "us-east-1";

    /// Starts a server on a free loopback port.
    pub async fn start() -> Self {
        let folder = TempDir::new().expect("a temporary folder for the S3 server");
        fs::create_dir(folder.path().join(Self::BUCKET)).expect("a folder for the bucket");
        let service = {
            let files = FileSystem::new(folder.path()).expect("an S3 file system over the folder");
            let mut builder = S3ServiceBuilder::new(files);
            builder.set_auth(SimpleAuth::from_single(Self::ACCESS_KEY, Self::SECRET_KEY));
            builder.build()
        };
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .await
            .expect("a free loopback port for the S3 server");
        let address = listener.local_addr().expect("the S3 server's address");
        let faults = Arc::new(Faults::none());
        let accepting = tokio::spawn(accept(listener, service, Arc::clone(&faults)));
        Self {
            address,
            folder,
            faults,
            accepting,
        }
    }

    /// Where the server answers, such as `http://127.0.0.1:40001`; buckets are the first part of the path.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Where the server listens, for those who put something between.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers badly from now on.
    pub fn fail(&self, failing: S3Failing) {
        self.faults.set(Some(failing));
    }

    /// Answers well again, also what was delayed.
    pub fn heal(&self) {
        self.faults.set(None);
    }

    /// Method and path of every request that met a fault so far.
    pub fn failed(&self) -> Vec<String> {
        self.faults.met()
    }

    /// The folder whose files are the bucket's objects, to look at or to damage.
    pub fn bucket_folder(&self) -> PathBuf {
        self.folder.path().join(Self::BUCKET)
    }
}

impl Drop for S3Server {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept(listener: TcpListener, service: S3Service, faults: Arc<Faults>) {
    while let Ok((socket, _)) = listener.accept().await {
        let (service, faults) = (service.clone(), Arc::clone(&faults));
        let service = service_fn(move |request: Request<Incoming>| {
            let (service, faults) = (service.clone(), Arc::clone(&faults));
            async move { faults.answer(&service, request.map(s3s::Body::from)).await }
        });
        tokio::spawn(async move {
            // A client that goes away ends its connection with an error: that is the client's business.
            let server = Builder::new(TokioExecutor::new());
            let _ended = server.serve_connection(TokioIo::new(socket), service).await;
        });
    }
}
