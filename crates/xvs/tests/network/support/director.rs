//! The program under test: its daemon, and its command lines.

use std::fs::File;
use std::os::unix::fs::symlink;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use nix::sys::signal::Signal;
use tempfile::TempDir;

use super::eventually;
use super::namespace::Namespace;
use super::network::{Hook, Network};
use super::process::{Process, Said, said};

/// The program.
pub const XVS: &str = env!("CARGO_BIN_EXE_xvs");
/// How long a start may take: on a busy machine the kernel's verifier takes its time.
const READY: Duration = Duration::from_secs(90);
/// What the program is called as, too.
const PROGRAMS: [&str; 5] = [
    "xvs",
    "ipvsadm",
    "ipvsadm-save",
    "ipvsadm-restore",
    "keepalived",
];

/// The director of a network: its daemon, if one runs, and its command lines.
#[derive(Debug)]
pub struct Director<'a> {
    host: &'a Namespace,
    hook: Hook,
    /// Log, and the names that the program is called by.
    folder: TempDir,
    daemon: Option<Process>,
    starts: AtomicU32,
}

impl<'a> Director<'a> {
    /// Starts the daemon, and waits until it answers.
    pub fn start(network: &'a Network, hook: Hook) -> Self {
        let mut director = Self::without_daemon(&network.director, hook);
        director.start_daemon();
        director
    }

    /// A director whose daemon is not started yet.
    pub fn without_daemon(host: &'a Namespace, hook: Hook) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for program in PROGRAMS {
            symlink(XVS, folder.path().join(program)).unwrap();
        }
        Self {
            host,
            hook,
            folder,
            daemon: None,
            starts: AtomicU32::new(0),
        }
    }

    /// The daemon's command, without the rules that this machine may have for its own director.
    pub fn serve(&self) -> Command {
        let number = self.starts.fetch_add(1, Ordering::Relaxed);
        let log = File::create(self.folder.path().join(format!("log-{number}"))).unwrap();
        let rules = self.folder.path().join("rules");
        let mut command = self.host.command(XVS);
        command.args([
            "serve",
            "--connections",
            "65536",
            "--hook",
            self.hook.name(),
            "--rules",
        ]);
        command.arg(rules).stderr(log);
        command
    }

    /// Starts a daemon where none runs, and waits until it answers.
    pub fn start_daemon(&mut self) {
        self.start_daemon_with(&[]);
    }

    /// Starts a daemon with more words, and waits until it answers.
    pub fn start_daemon_with(&mut self, words: &[&str]) {
        assert!(self.daemon.is_none());
        let mut daemon = Process::start(self.serve().args(words));
        eventually("the daemon answers", READY, || {
            assert!(daemon.runs(), "the daemon ended: {}", self.log());
            (self.ipvsadm("-ln").code == Some(0)).then_some(())
        });
        self.daemon = Some(daemon);
    }

    /// Ends the daemon by a signal. Returns its exit code.
    pub fn end_daemon(&mut self, signal: Signal) -> Option<i32> {
        let mut daemon = self.daemon.take().expect("a daemon runs");
        daemon.signal(signal);
        daemon.wait()
    }

    /// Runs `ipvsadm` with these words.
    pub fn ipvsadm(&self, words: &str) -> Said {
        said(self.command("ipvsadm").args(words.split_whitespace()))
    }

    /// Runs `ipvsadm` with these words, which has to succeed. Returns what it printed.
    pub fn set(&self, words: &str) -> String {
        let Said { code, out, err } = self.ipvsadm(words);
        assert_eq!((code, err.as_str()), (Some(0), ""), "ipvsadm {words}");
        out
    }

    /// Runs `xvs` with these words.
    pub fn xvs(&self, words: &str) -> Said {
        said(self.command("xvs").args(words.split_whitespace()))
    }

    /// Runs a line of a shell in which the program is found by its names.
    pub fn shell(&self, line: &str) -> Said {
        said(self.command("sh").arg("-c").arg(line))
    }

    /// A program, on the director; this one is found by its names.
    pub fn command(&self, program: &str) -> Command {
        let path = std::env::var("PATH").unwrap_or_default();
        let mut command = self.host.command("env");
        command
            .arg(format!("PATH={}:{path}", self.folder.path().display()))
            .arg(program);
        command
    }

    /// The virtual service of most tests: by weight, 2 and 3, to port 80.
    pub fn set_up_web(&self) {
        use super::network::{RS1, RS2, VIP};
        self.set(&format!("-A -t {VIP}:80 -s wrr"));
        self.set(&format!("-a -t {VIP}:80 -r {RS1}:80 -m -w 2"));
        self.set(&format!("-a -t {VIP}:80 -r {RS2}:80 -m -w 3"));
    }

    /// The destinations that `ipvsadm -ln` lists.
    pub fn rows(&self) -> Vec<Row> {
        let text = self.set("-ln");
        let lines = text.lines().filter_map(|line| line.strip_prefix("  -> "));
        lines.skip(1).map(Row::read).collect()
    }

    /// What `ipvsadm --stats` counts for each destination.
    pub fn counters(&self) -> Vec<Counters> {
        let text = self.set("-ln --stats --exact");
        let lines = text.lines().filter_map(|line| line.strip_prefix("  -> "));
        lines.skip(1).map(Counters::read).collect()
    }

    /// What the daemons said so far.
    pub fn log(&self) -> String {
        let logs = (0..self.starts.load(Ordering::Relaxed)).map(|number| {
            std::fs::read_to_string(self.folder.path().join(format!("log-{number}"))).unwrap()
        });
        logs.collect()
    }
}

impl Drop for Director<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- status\n{}", self.xvs("status").out);
            eprintln!("--- the daemon's log\n{}", self.log());
        }
        self.daemon = None;
        // A second panic would hide the first.
        let _ = self
            .host
            .command(XVS)
            .args(["serve", "--stop-forwarding"])
            .output();
    }
}

/// A destination in the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    pub destination: String,
    pub active: u64,
    pub inactive: u64,
}

impl Row {
    fn read(line: &str) -> Self {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [destination, _method, _weight, active, inactive] = words[..] else {
            panic!("not a destination: {line}");
        };
        Self {
            destination: destination.to_owned(),
            active: active.parse().unwrap(),
            inactive: inactive.parse().unwrap(),
        }
    }
}

/// What was counted for a destination.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counters {
    pub destination: String,
    pub connections: u64,
    pub in_packets: u64,
    pub out_bytes: u64,
}

impl Counters {
    fn read(line: &str) -> Self {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [
            destination,
            connections,
            in_packets,
            _out,
            _in_bytes,
            out_bytes,
        ] = words[..]
        else {
            panic!("not a destination: {line}");
        };
        Self {
            destination: destination.to_owned(),
            connections: connections.parse().unwrap(),
            in_packets: in_packets.parse().unwrap(),
            out_bytes: out_bytes.parse().unwrap(),
        }
    }
}
