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
    pub fn stop(mut self) {
        self.end();
    }

    pub fn end(&mut self) {
        // Once waited for, its number may be another process's.
        if let Ok(None) = self.child.try_wait() {
            kill(self.parent(), Signal::SIGTERM).unwrap();
            let _status = self.child.wait();
        }
    }

    pub fn reload(&self) {
        kill(self.parent(), Signal::SIGHUP).unwrap();
    }

    /// To both of its processes.
    pub fn signal(&self, signal: Signal) {
        kill(self.parent(), signal).unwrap();
        kill(self.vrrp(), signal).unwrap();
    }

    /// Ends it as a power failure does: nothing is said or tidied up.
    pub fn crash(&mut self) {
        // The parent would start another child, and a child whose parent has gone says goodbye.
        kill(self.parent(), Signal::SIGSTOP).unwrap();
        kill(self.vrrp(), Signal::SIGKILL).unwrap();
        self.child.kill().unwrap();
    }

    fn parent(&self) -> Pid {
        Pid::from_raw(self.child.id().cast_signed())
    }

    fn vrrp(&self) -> Pid {
        let pid = fs::read_to_string(self.folder.path().join("vrrp.pid")).unwrap();
        Pid::from_raw(pid.trim().parse().unwrap())
    }
}

impl Drop for Keepalived {
    fn drop(&mut self) {
        self.end();
        if std::thread::panicking() {
            println!("keepalived said:\n{}", self.log());
        }
    }
}
