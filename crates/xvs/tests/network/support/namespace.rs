//! Network namespaces that end with their test.

use std::fs::File;
use std::path::Path;
use std::process::Command;
use std::sync::Once;
use std::sync::atomic::{AtomicU32, Ordering};

use nix::sched::{CloneFlags, setns};

use super::process::{self, Said, run};

/// Where `ip netns` keeps a name for each namespace.
const NAMES: &str = "/run/netns";
const PREFIX: &str = "xvst-";

/// A network namespace. It is deleted when dropped.
#[derive(Debug)]
pub struct Namespace {
    name: String,
}

impl Namespace {
    /// A new one, named after a host.
    pub fn new(host: &str) -> Self {
        static SWEPT: Once = Once::new();
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        assert!(
            nix::unistd::geteuid().is_root(),
            "network namespaces need root: run as root"
        );
        SWEPT.call_once(remove_abandoned);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("{PREFIX}{}-{number}-{host}", std::process::id());
        run(&format!("ip netns add {name}"));
        let namespace = Self { name };
        namespace.ip("link set lo up");
        namespace
    }

    /// Its name, as `ip netns list` shows it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Runs `ip` on it.
    pub fn ip(&self, words: &str) {
        run(&format!("ip -n {} {words}", self.name));
    }

    /// A command that runs in it.
    pub fn command(&self, program: &str) -> Command {
        process::inside(&self.name, program)
    }

    /// Runs words as a command in it, however that ends.
    pub fn say(&self, words: &str) -> Said {
        let mut words = words.split_whitespace();
        process::said(self.command(words.next().unwrap()).args(words))
    }

    /// Runs words as a command in it that has to succeed. Returns what it printed.
    pub fn run(&self, words: &str) -> String {
        let Said { code, out, err } = self.say(words);
        assert_eq!(code, Some(0), "{words}: {err}");
        out
    }

    /// Moves the calling thread into it.
    pub fn enter(&self) {
        let file = File::open(Path::new(NAMES).join(&self.name)).unwrap();
        setns(file, CloneFlags::CLONE_NEWNET).unwrap();
    }

    /// Does something in a thread inside. Sockets made there belong to the namespace.
    pub fn within<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        std::thread::scope(|scope| {
            let inside = scope.spawn(|| {
                self.enter();
                work()
            });
            inside
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        // A second panic would hide the first.
        let _ = Command::new("ip")
            .args(["netns", "delete", &self.name])
            .status();
    }
}

/// Removes what test runs left that were killed.
fn remove_abandoned() {
    for entry in std::fs::read_dir(NAMES).into_iter().flatten().flatten() {
        let name = entry.file_name().into_string().unwrap();
        let process = name
            .strip_prefix(PREFIX)
            .and_then(|rest| rest.split('-').next());
        if process.is_some_and(|pid| !Path::new("/proc").join(pid).exists()) {
            run(&format!("ip netns delete {name}"));
        }
    }
}
