//! nginx as a real server.

use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use tempfile::TempDir;

use super::namespace::Namespace;
use super::process::Process;
use super::{SOON, eventually};

/// nginx on port 80: `/` says who it is, `/files/` keeps what is put there and gives it back.
#[derive(Debug)]
pub struct WebServer {
    _process: Process,
    folder: TempDir,
}

impl WebServer {
    /// Starts it and waits until it listens.
    pub fn start(host: &Namespace, name: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().display();
        std::fs::create_dir(folder.path().join("files")).unwrap();
        let configuration = format!(
            "daemon off; master_process off; pid {path}/pid; error_log {path}/error.log;
             worker_rlimit_nofile 8192; events {{ worker_connections 4096; }}
             http {{
                 access_log off; keepalive_timeout 0; sendfile on;
                 client_body_temp_path {path}/body; client_max_body_size 0;
                 proxy_temp_path {path}/proxy; fastcgi_temp_path {path}/fastcgi;
                 uwsgi_temp_path {path}/uwsgi; scgi_temp_path {path}/scgi;
                 server {{
                     listen 80 backlog=4096;
                     location / {{ return 200 \"{name}\\n\"; }}
                     location /files/ {{ root {path}; dav_methods PUT; }}
                 }}
             }}"
        );
        let file = folder.path().join("nginx.conf");
        std::fs::write(&file, configuration).unwrap();
        let mut command = host.command("nginx");
        command
            .arg("-p")
            .arg(folder.path())
            .arg("-c")
            .arg(&file)
            .arg("-e")
            .arg("stderr");
        let process = Process::start(command.stderr(Stdio::null()));
        host.within(|| {
            eventually("nginx listens", SOON, || {
                TcpStream::connect("127.0.0.1:80").ok()
            });
        });
        Self {
            _process: process,
            folder,
        }
    }

    /// Where what is under `/files/` is kept.
    pub fn file(&self, name: impl AsRef<Path>) -> PathBuf {
        self.folder.path().join("files").join(name)
    }
}
