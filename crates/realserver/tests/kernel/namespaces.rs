//! A real server's own kernel, reached through tunnels: what comes out of them comes to its sockets.

use std::io::{ErrorKind, Read};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use decap::Outcome;
use nix::sched::{CloneFlags, setns};
use realserver::{RealServer, Settings, Tunnels};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::sync::oneshot;

use crate::packets::{ETHERNET, captured};

const CLIENT: &str = "172.16.10.40";
const DIRECTOR: &str = "172.16.10.17";
const VIRTUAL: &str = "172.16.10.21";

/// How long an answer may take, and how long one is waited for that must not come.
const PATIENCE: Duration = Duration::from_secs(5);
const SILENCE: Duration = Duration::from_millis(300);

/// Two hosts on a wire: a real server, and one with the director's and the client's addresses.
struct Wire {
    name: String,
}

impl Wire {
    fn new(server: &str) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let wire = Self {
            name: format!("xvs-realserver-{}-{number}", std::process::id()),
        };
        let (other, own) = (wire.other(), wire.server());
        for host in [&other, &own] {
            ip(&format!("netns add {host}"));
            ip(&format!("-n {host} link set lo up"));
        }
        ip(&format!(
            "link add eth0 netns {other} type veth peer name eth0 netns {own}"
        ));
        for (host, address) in [(&other, DIRECTOR), (&other, CLIENT), (&own, server)] {
            ip(&format!("-n {host} address add {address}/24 dev eth0"));
            ip(&format!("-n {host} link set eth0 up"));
        }
        wire
    }

    fn other(&self) -> String {
        format!("{}-o", self.name)
    }

    fn server(&self) -> String {
        format!("{}-s", self.name)
    }

    /// Adds or removes an address of the real server's lo.
    fn loopback(&self, verb: &str, address: &str) {
        ip(&format!(
            "-n {} address {verb} {address} dev lo",
            self.server()
        ));
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        for host in [self.other(), self.server()] {
            let _gone = Command::new("ip").args(["netns", "delete", &host]).status();
        }
    }
}

fn ip(arguments: &str) {
    let output = Command::new("ip")
        .args(arguments.split(' '))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "ip {arguments}: {said}");
}

/// Does something in a network namespace. Sockets made there belong to it.
fn within<T: Send>(namespace: &str, work: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| {
        let inside = scope.spawn(|| {
            let file = std::fs::File::open(format!("/run/netns/{namespace}")).unwrap();
            setns(file, CloneFlags::CLONE_NEWNET).unwrap();
            work()
        });
        inside.join().unwrap()
    })
}

/// A running real server; it ends when this is dropped.
struct Running {
    stop: Option<oneshot::Sender<()>>,
    asked: mpsc::Sender<()>,
    counters: mpsc::Receiver<Vec<(Outcome, u64)>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Running {
    fn start(wire: &Wire, settings: Settings) -> Self {
        let (stop, stopped) = oneshot::channel();
        let (asked, questions) = mpsc::channel();
        let (answers, counters) = mpsc::channel();
        let namespace = wire.server();
        let thread = std::thread::spawn(move || {
            let file = std::fs::File::open(format!("/run/netns/{namespace}")).unwrap();
            setns(file, CloneFlags::CLONE_NEWNET).unwrap();
            let runtime = tokio::runtime::Builder::new_current_thread();
            let runtime = { runtime }.enable_all().build().unwrap();
            runtime.block_on(run(settings, stopped, questions, answers));
        });
        let running = Self {
            stop: Some(stop),
            asked,
            counters,
            thread: Some(thread),
        };
        running.counters();
        running
    }

    /// How many packets came to each outcome so far.
    fn counters(&self) -> Vec<(Outcome, u64)> {
        self.asked.send(()).unwrap();
        self.counters.recv_timeout(PATIENCE).unwrap()
    }

    fn count(&self, wanted: Outcome) -> u64 {
        let counters = self.counters();
        counters
            .iter()
            .find(|(outcome, _)| *outcome == wanted)
            .unwrap()
            .1
    }
}

async fn run(
    settings: Settings,
    mut stopped: oneshot::Receiver<()>,
    questions: mpsc::Receiver<()>,
    answers: mpsc::Sender<Vec<(Outcome, u64)>>,
) {
    let mut server = RealServer::start(settings).await.unwrap();
    loop {
        tokio::select! {
            followed = server.follow() => followed.unwrap(),
            _ = &mut stopped => return,
            () = tokio::time::sleep(Duration::from_millis(5)) => {
                while questions.try_recv().is_ok() {
                    answers.send(server.status().unwrap().counters).unwrap();
                }
            }
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.stop.take());
        let ended = self.thread.take().unwrap().join();
        if !std::thread::panicking() {
            ended.unwrap();
        }
    }
}

/// All tunnels, for the addresses on lo.
fn all() -> Settings {
    Settings {
        tunnels: Tunnels {
            ipip: true,
            gre: true,
            gue: Some(6080),
        },
        virtual_addresses: Vec::new(),
        interfaces: Vec::new(),
    }
}

/// Sends a captured packet from its outer IP header on, and waits for the answer that comes from the
/// virtual address; what it acknowledges.
fn acknowledged(wire: &Wire, packet: &[u8], patience: Duration) -> Option<u32> {
    within(&wire.other(), || {
        let listening = Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::TCP)).unwrap();
        listening
            .set_read_timeout(Some(Duration::from_millis(20)))
            .unwrap();
        let sending = Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::from(255))).unwrap();
        let to: [u8; 4] = packet[16..20].try_into().unwrap();
        let to = SocketAddr::new(IpAddr::from(to), 0);
        assert_eq!(sending.send_to(packet, &to.into()).unwrap(), packet.len());
        let begin = Instant::now();
        while begin.elapsed() < patience {
            let Some(answer) = receive(&listening) else {
                continue;
            };
            let source = Ipv4Addr::from(<[u8; 4]>::try_from(&answer[12..16]).unwrap());
            let flags = answer[33];
            if source.to_string() == VIRTUAL && flags == 0x12 {
                return Some(u32::from_be_bytes(answer[28..32].try_into().unwrap()));
            }
        }
        None
    })
}

fn receive(socket: &Socket) -> Option<Vec<u8>> {
    let mut bytes = vec![0; 2048];
    match { socket }.read(&mut bytes) {
        Ok(length) => {
            bytes.truncate(length);
            (length >= 40).then_some(bytes)
        }
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => None,
        Err(error) => panic!("{error}"),
    }
}

/// The SYN of a capture, from its outer IP header on, and its sequence number.
fn syn(name: &str) -> (Vec<u8>, u32) {
    let packet = captured(name).remove(0)[ETHERNET..].to_vec();
    let sequence = packet.len() - 40 + 4;
    let number = u32::from_be_bytes(packet[sequence..sequence + 4].try_into().unwrap());
    (packet, number)
}

#[test]
fn a_syn_in_each_kind_of_tunnel_is_answered_by_the_server_s_own_kernel() {
    for (name, server) in [
        ("ipip", "172.16.10.39"),
        ("gre", "172.16.10.31"),
        ("gre-csum", "172.16.10.31"),
        ("gue", "172.16.10.23"),
        ("gue-csum", "172.16.10.23"),
        ("gue-remcsum", "172.16.10.23"),
    ] {
        let wire = Wire::new(server);
        wire.loopback("add", "172.16.10.21/32");
        let _listener = within(&wire.server(), || TcpListener::bind("0.0.0.0:80").unwrap());
        let (packet, sequence) = syn(name);
        assert_eq!(
            acknowledged(&wire, &packet, SILENCE),
            None,
            "{name}: nothing runs yet"
        );
        let running = Running::start(&wire, all());
        let acknowledged = acknowledged(&wire, &packet, PATIENCE);
        assert_eq!(acknowledged, Some(sequence.wrapping_add(1)), "{name}");
        assert_eq!(
            running.count(Outcome::Ipip)
                + running.count(Outcome::Gre)
                + running.count(Outcome::Gue),
            1
        );
    }
}

#[test]
fn an_address_counts_as_soon_as_it_is_on_lo_and_as_long_as_it_is() {
    let wire = Wire::new("172.16.10.39");
    let _listener = within(&wire.server(), || TcpListener::bind("0.0.0.0:80").unwrap());
    let (packet, sequence) = syn("ipip");
    let running = Running::start(&wire, all());
    assert_eq!(acknowledged(&wire, &packet, SILENCE), None);
    assert_eq!(running.count(Outcome::NotVirtual), 1);
    wire.loopback("add", "172.16.10.21/32");
    std::thread::sleep(SILENCE);
    let expected = Some(sequence.wrapping_add(1));
    assert_eq!(acknowledged(&wire, &packet, PATIENCE), expected);
    wire.loopback("del", "172.16.10.21/32");
    std::thread::sleep(SILENCE);
    assert_eq!(acknowledged(&wire, &packet, SILENCE), None);
    assert_eq!(running.count(Outcome::NotVirtual), 2);
}

#[test]
fn an_interface_counts_as_soon_as_it_is_there() {
    let wire = Wire::new("172.16.10.39");
    wire.loopback("add", "172.16.10.21/32");
    let _listener = within(&wire.server(), || TcpListener::bind("0.0.0.0:80").unwrap());
    let running = Running::start(&wire, all());
    let (other, own) = (wire.other(), wire.server());
    ip(&format!("-n {own} link delete eth0"));
    ip(&format!(
        "link add eth0 netns {other} type veth peer name eth0 netns {own}"
    ));
    for (host, address) in [(&other, DIRECTOR), (&other, CLIENT), (&own, "172.16.10.39")] {
        ip(&format!("-n {host} address add {address}/24 dev eth0"));
        ip(&format!("-n {host} link set eth0 up"));
    }
    std::thread::sleep(SILENCE);
    let (packet, sequence) = syn("ipip");
    let expected = Some(sequence.wrapping_add(1));
    assert_eq!(acknowledged(&wire, &packet, PATIENCE), expected);
    assert_eq!(running.count(Outcome::Ipip), 1);
}

#[test]
fn when_it_ends_nothing_is_left_that_opens_tunnels() {
    let wire = Wire::new("172.16.10.39");
    wire.loopback("add", "172.16.10.21/32");
    let _listener = within(&wire.server(), || TcpListener::bind("0.0.0.0:80").unwrap());
    let (packet, _) = syn("ipip");
    let named = Settings {
        virtual_addresses: vec![VIRTUAL.parse().unwrap()],
        interfaces: vec!["eth0".to_owned()],
        ..all()
    };
    let running = Running::start(&wire, named);
    assert!(acknowledged(&wire, &packet, PATIENCE).is_some());
    drop(running);
    assert_eq!(acknowledged(&wire, &packet, SILENCE), None);
}
