//! The data plane outlives its daemon.

use std::fs::File;
use std::process::{Command, Stdio};

use nix::sys::signal::Signal;

use crate::support::{Director, Hook, Network, Process, SOON, VIP, WebServer, eventually, get};

const GIBIBYTE: u64 = 1 << 30;

#[test]
fn a_download_survives_that_the_daemon_is_killed_on_tc() {
    download_through_a_restart(Hook::Tc, Signal::SIGKILL);
}

#[test]
fn a_download_survives_that_the_daemon_is_killed_on_xdp() {
    download_through_a_restart(Hook::Xdp, Signal::SIGKILL);
}

#[test]
fn a_download_survives_that_the_daemon_is_ended() {
    download_through_a_restart(Hook::Tc, Signal::SIGTERM);
}

fn download_through_a_restart(hook: Hook, signal: Signal) {
    let network = Network::new(hook);
    let servers = [
        WebServer::start(&network.rs1, "rs1"),
        WebServer::start(&network.rs2, "rs2"),
    ];
    for server in &servers {
        File::create(server.file("large"))
            .unwrap()
            .set_len(GIBIBYTE)
            .unwrap();
    }
    let mut director = Director::start(&network, hook);
    director.set_up_web();
    let mut download = Download::start(&network);
    let connection = eventually("the download is under way", SOON, || {
        let under_way = bytes(&director) > GIBIBYTE / 32;
        under_way.then(|| established(&director)).flatten()
    });
    let before = bytes(&director);

    let code = director.end_daemon(signal);
    assert_eq!(code, (signal == Signal::SIGTERM).then_some(0));
    let answers = network.client.within(|| {
        let ports = 20_000..20_010;
        ports
            .map(|port| get(port).expect("balanced without a daemon"))
            .collect::<Vec<_>>()
    });
    let from = |name| answers.iter().filter(|answer| *answer == name).count();
    assert_eq!(
        (from("rs1"), from("rs2")),
        (4, 6),
        "weights hold without a daemon: {answers:?}"
    );
    director.start_daemon();
    assert!(
        download.process.runs(),
        "the download was over before the daemon was back"
    );

    assert_eq!(
        established(&director),
        Some(connection),
        "{}",
        director.set("-lnc")
    );
    assert!(
        bytes(&director) > before,
        "what passed without a daemon is counted too"
    );
    assert_eq!(download.process.wait(), Some(0), "curl failed");
    assert_eq!(download.size(), GIBIBYTE);
    assert!(
        bytes(&director) > GIBIBYTE,
        "counters go on where they were"
    );
    let connections: u64 = director.counters().iter().map(|row| row.connections).sum();
    assert_eq!(connections, 11, "every connection is counted once");
}

/// All bytes that the real servers sent.
fn bytes(director: &Director) -> u64 {
    director.counters().iter().map(|row| row.out_bytes).sum()
}

/// The one established connection: source, virtual service and destination.
fn established(director: &Director) -> Option<[String; 3]> {
    let table = director.set("-lnc");
    let mut rows = table.lines().filter(|line| line.contains(" ESTABLISHED "));
    let words: Vec<&str> = rows.next()?.split_whitespace().collect();
    assert_eq!(rows.next(), None, "only the download is under way: {table}");
    let [_tcp, _expires, _state, source, service, destination] = words[..] else {
        panic!("not a connection: {words:?}");
    };
    Some([source, service, destination].map(str::to_owned))
}

/// curl, at a speed that leaves time to end a daemon and to start one.
struct Download {
    process: Process,
    written: tempfile::NamedTempFile,
}

impl Download {
    fn start(network: &Network) -> Self {
        let written = tempfile::NamedTempFile::new().unwrap();
        let mut command: Command = network.client.command("curl");
        command.args([
            "-sS",
            "--limit-rate",
            "150M",
            "-o",
            "/dev/null",
            "-w",
            "%{size_download}",
        ]);
        command
            .arg(format!("http://{VIP}/files/large"))
            .stdout(written.reopen().unwrap());
        Self {
            process: Process::start(command.stderr(Stdio::inherit())),
            written,
        }
    }

    /// What curl says that it received, in bytes.
    fn size(&self) -> u64 {
        std::fs::read_to_string(self.written.path())
            .unwrap()
            .parse()
            .unwrap()
    }
}
