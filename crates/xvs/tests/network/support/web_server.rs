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
        Self::listening(host, "80 backlog=4096", name)
    }

    /// Starts one that wants the PROXY protocol, says which client it was told of, and logs it.
    pub fn start_told(host: &Namespace) -> Self {
        let page = "$proxy_protocol_addr $proxy_protocol_port";
        Self::listening(host, "80 backlog=4096 proxy_protocol", page)
    }

    fn listening(host: &Namespace, listen: &str, page: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().display();
        std::fs::create_dir(folder.path().join("files")).unwrap();
        let configuration = format!(
            "daemon off; master_process off; pid {path}/pid; error_log {path}/error.log;
             worker_rlimit_nofile 8192; events {{ worker_connections 4096; }}
             http {{
                 log_format client \"$proxy_protocol_addr\"; access_log {path}/access.log client;
                 keepalive_timeout 0; sendfile on;
                 client_body_temp_path {path}/body; client_max_body_size 0;
                 proxy_temp_path {path}/proxy; fastcgi_temp_path {path}/fastcgi;
                 uwsgi_temp_path {path}/uwsgi; scgi_temp_path {path}/scgi;
                 server {{
                     listen {listen}; listen [::]:{listen};
                     location / {{ return 200 \"{page}\\n\"; }}
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

    /// The clients of all requests so far, in order.
    pub fn clients(&self) -> Vec<String> {
        let log = std::fs::read_to_string(self.folder.path().join("access.log")).unwrap();
        log.lines().map(str::to_owned).collect()
    }

    /// Where what is under `/files/` is kept.
    pub fn file(&self, name: impl AsRef<Path>) -> PathBuf {
        self.folder.path().join("files").join(name)
    }
}
