//! The real keepalived on a host.

use std::fs;
use std::process::{Child, Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;

use crate::support::Host;

/// A running keepalived. It ends, as a master that resigns, with its owner.
pub struct Keepalived {
    child: Child,
    folder: TempDir,
}

impl Keepalived {
    /// Starts it with the instances of this configuration.
    pub fn start(host: &Host, configuration: &str) -> Self {
        let folder = TempDir::new().unwrap();
        let path = |name: &str| folder.path().join(name).display().to_string();
        fs::write(path("keepalived.conf"), configuration).unwrap();
        let log = fs::File::create(path("log")).unwrap();
        let child = Command::new("ip")
            .args(["netns", "exec", &host.name, "keepalived"])
            .args(["--dont-fork", "--log-console", "--log-detail", "--vrrp"])
            .args(["--use-file", &path("keepalived.conf")])
            .args(["--pid", &path("pid"), "--vrrp_pid", &path("vrrp.pid")])
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .expect("keepalived is installed: ./x test sees to it");
        Self { child, folder }
    }

    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap()
    }

    /// Ends it as an administrator does.
    pub fn stop(self) {}

    /// Ends it as a power failure does: nothing is said or tidied up.
    pub fn crash(&mut self) {
        let vrrp = fs::read_to_string(self.folder.path().join("vrrp.pid")).unwrap();
        let vrrp = Pid::from_raw(vrrp.trim().parse().unwrap());
        // The parent would start another child, and a child whose parent has gone says goodbye.
        kill(
            Pid::from_raw(self.child.id().cast_signed()),
            Signal::SIGSTOP,
        )
        .unwrap();
        kill(vrrp, Signal::SIGKILL).unwrap();
        self.child.kill().unwrap();
    }
}

impl Drop for Keepalived {
    fn drop(&mut self) {
        let child = Pid::from_raw(self.child.id().cast_signed());
        let _gone_already = kill(child, Signal::SIGTERM);
        let _status = self.child.wait();
        if std::thread::panicking() {
            println!("keepalived said:\n{}", self.log());
        }
    }
}
