//! A server that speaks S3, on a folder: it checks signatures and how long a link is good, as Amazon's does.

use std::{net::SocketAddr, path::PathBuf};

use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto::Builder,
};
use s3s::{auth::SimpleAuth, service::S3ServiceBuilder};
use tokio::{net::TcpListener, task::JoinHandle};

/// Who may use it, and with which secret.
pub const KEY: &str = "AKIAPEGCOUNTTESTS";
pub const SECRET: &str = "hush-this-is-the-secret-of-the-tests";
/// The one bucket that there is.
const BUCKET: &str = "calls";

/// The server. It may run or not; what it was given stays.
pub struct S3 {
    folder: tempfile::TempDir,
    address: SocketAddr,
    running: Option<JoinHandle<()>>,
}

impl S3 {
    /// One that does not run yet, and will at this address.
    pub fn at(address: SocketAddr) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::create_dir(folder.path().join(BUCKET)).expect("a bucket");
        Self { folder, address, running: None }
    }

    /// From now on it answers.
    pub async fn start(&mut self) {
        let files = s3s_fs::FileSystem::new(self.folder.path()).expect("a folder");
        let mut service = S3ServiceBuilder::new(files);
        service.set_auth(SimpleAuth::from_single(KEY, SECRET));
        let service = service.build();
        let listener = TcpListener::bind(self.address).await.expect("the address is free");
        self.running = Some(tokio::spawn(async move {
            // Dropped with this task, and the connections with it.
            let mut connections = tokio::task::JoinSet::new();
            while let Ok((socket, _)) = listener.accept().await {
                let service = service.clone();
                connections.spawn(async move {
                    let builder = Builder::new(TokioExecutor::new());
                    let _ = builder.serve_connection(TokioIo::new(socket), service).await;
                });
            }
        }));
    }

    /// From now on nobody answers.
    pub async fn stop(&mut self) {
        if let Some(running) = self.running.take() {
            running.abort();
            let _ = running.await;
        }
    }

    /// The URL of what is in the bucket.
    pub fn url(&self) -> String {
        format!("http://{}/{BUCKET}/", self.address)
    }

    /// A configuration that sends recordings there, under a prefix, with this secret.
    pub fn config(&self, links: &str, secret: &str) -> String {
        format!(
            "[recordings]\nstore = \"s3://{BUCKET}/recordings/here\"\nlinks = \"{links}\"\n[recordings.options]\n\
             endpoint = \"http://{}\"\nallow_http = true\nregion = \"eu-central-1\"\naccess_key_id = \"{KEY}\"\n\
             secret_access_key = \"{secret}\"\n",
            self.address
        )
    }

    /// The file of an object.
    pub fn object(&self, name: &str) -> PathBuf {
        self.folder.path().join(BUCKET).join("recordings/here").join(name)
    }
}

impl Drop for S3 {
    fn drop(&mut self) {
        if let Some(running) = &self.running {
            running.abort();
        }
    }
}
