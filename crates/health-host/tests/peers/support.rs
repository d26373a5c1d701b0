//! Real peers, each in a network namespace of its own with its test.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use config::{Environment, Files};
use health::Outcome;
use health_host::Checker;
use nix::sched::{CloneFlags, unshare};

struct One(String);

impl Files for One {
    fn read(&self, _: &Path) -> Result<String, String> {
        Ok(self.0.clone())
    }

    fn matching(&self, _: &Path) -> Vec<PathBuf> {
        Vec::new()
    }
}

/// Ends with the test.
pub struct Peer(Child);

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// This thread, and what it starts, in a network of its own.
pub fn own_network() {
    unshare(CloneFlags::CLONE_NEWNET).expect("tests of namespaces run as root");
    run("ip", &["link", "set", "lo", "up"]);
}

/// Runs a command, which has to succeed.
pub fn run(program: &str, arguments: &[&str]) {
    let status = Command::new(program)
        .args(arguments)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    assert!(
        status.is_ok_and(|status| status.success()),
        "{program} {arguments:?}"
    );
}

/// Starts a peer.
pub fn start(program: &str, arguments: &[&str]) -> Peer {
    let child = Command::new(program)
        .args(arguments)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    Peer(child.expect("the peer is installed"))
}

/// Runs the checker that these lines of a real server at 127.0.0.1 describe.
pub fn check(port: u16, lines: &str) -> Outcome {
    check_beside("", port, lines)
}

/// The same, with other blocks in the file.
pub fn check_beside(others: &str, port: u16, lines: &str) -> Outcome {
    let text = format!(
        "{others}\nvirtual_server 192.0.2.1 80 {{\nprotocol TCP\nconnect_timeout 2\nreal_server 127.0.0.1 {port} {{\n{lines}\n}}\n}}\n"
    );
    let environment = Environment {
        config_id: String::new(),
        random_seed: 0,
    };
    let reading =
        config::read(Path::new("/x"), &One(text), &environment).expect("text can be read");
    assert!(!reading.has_errors(), "{}", reading.rendered(false));
    let check = &reading.config.virtual_servers[0].real_servers[0].checks[0];
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let checker = Checker::new(&reading.config.tls, None).expect("the files can be used");
    runtime.block_on(checker.run(check))
}

/// The checker finds the server well, within a moment.
pub fn succeeds(port: u16, lines: &str) {
    succeeds_beside("", port, lines);
}

/// The same, with other blocks in the file.
pub fn succeeds_beside(others: &str, port: u16, lines: &str) {
    // A peer takes a moment to listen.
    let mut outcome = check_beside(others, port, lines);
    for _ in 0..100 {
        if matches!(outcome, Outcome::Success { .. }) {
            break;
        }
        std::thread::sleep(Duration::from_millis(50));
        outcome = check_beside(others, port, lines);
    }
    assert_eq!(outcome, Outcome::Success { weight: None }, "{lines}");
}

/// The checker finds it failed, for this reason.
pub fn fails(port: u16, lines: &str, why: &str) {
    fails_beside("", port, lines, why);
}

/// The same, with other blocks in the file.
pub fn fails_beside(others: &str, port: u16, lines: &str, why: &str) {
    match check_beside(others, port, lines) {
        Outcome::Failure(told) if told.contains(why) => {}
        other => panic!("{lines}: {other:?} instead of `{why}'"),
    }
}
