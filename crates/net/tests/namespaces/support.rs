//! Network namespaces for tests, and a watcher followed in one of them.

use std::fs::File;
use std::future::Future;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, UdpSocket};
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use net::{Change, Event, Resolver, Review, Settings, Snapshot, Watcher};
use nix::sched::{CloneFlags, setns};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};

/// The network of [`pair`] in one of its address families.
#[derive(Debug, Clone, Copy)]
pub struct Family {
    /// As in the names of settings: `ipv4`, `ipv6`.
    pub name: &'static str,
    /// The director's address.
    pub own: &'static str,
    /// The peer's.
    pub peer: &'static str,
    /// Another address of their subnet.
    pub third: &'static str,
    /// The length of their subnet.
    pub length: u8,
    /// An address elsewhere.
    pub behind: &'static str,
    /// A subnet that it is in.
    pub behind_wide: &'static str,
    /// A smaller one.
    pub behind_narrow: &'static str,
    /// The length of a whole address.
    pub whole: u8,
}

const V4: Family = Family {
    name: "ipv4",
    own: "10.0.0.1",
    peer: "10.0.0.2",
    third: "10.0.0.3",
    length: 24,
    behind: "203.0.113.7",
    behind_wide: "203.0.113.0/24",
    behind_narrow: "203.0.113.0/25",
    whole: 32,
};

const V6: Family = Family {
    name: "ipv6",
    own: "fd00::1",
    peer: "fd00::2",
    third: "fd00::3",
    length: 64,
    behind: "2001:db8:113::7",
    behind_wide: "2001:db8:113::/48",
    behind_narrow: "2001:db8:113::/64",
    whole: 128,
};

/// Runs a test for IPv4, then for IPv6.
pub fn in_both_families(test: impl Fn(Family)) {
    for family in [V4, V6] {
        // Shown where the test fails.
        println!("in {}", family.name);
        test(family);
    }
}

pub fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// How long a test waits for something that should happen.
pub const PATIENCE: Duration = Duration::from_secs(15);

/// A network namespace that goes with its owner, also when a test fails.
pub struct Namespace {
    name: String,
}

impl Namespace {
    /// A new namespace with its loopback interface up. IPv6 addresses can be used in it at once,
    /// without a search for duplicates.
    pub fn new(label: &str) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        assert!(
            nix::unistd::geteuid().is_root(),
            "this test creates network namespaces, which only root may: run it as root"
        );
        remove_leftovers();
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("xvsnet-{}-{count}-{label}", std::process::id());
        run("ip", &["netns", "add", &name]);
        let namespace = Self { name };
        namespace.ip("link set lo up");
        namespace.sysctl("net.ipv6.conf.all.accept_dad=0");
        namespace.sysctl("net.ipv6.conf.default.accept_dad=0");
        namespace
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// Runs `ip` in the namespace, with arguments separated by blanks. Returns what it printed.
    pub fn ip(&self, arguments: &str) -> String {
        let mut all = vec!["-n", &self.name];
        all.extend(arguments.split_whitespace());
        run("ip", &all)
    }

    /// Runs a command in the namespace. Returns what it printed.
    pub fn exec(&self, command: &str) -> String {
        let mut all = vec!["netns", "exec", &self.name];
        all.extend(command.split_whitespace());
        run("ip", &all)
    }

    pub fn sysctl(&self, setting: &str) {
        self.exec(&format!("sysctl -qw {setting}"));
    }

    /// The number of an interface.
    pub fn ifindex(&self, interface: &str) -> u32 {
        let line = self.ip(&format!("-o link show dev {interface}"));
        line.split(':').next().unwrap().parse().unwrap()
    }

    /// The Ethernet address of an interface.
    pub fn mac(&self, interface: &str) -> net::MacAddress {
        let line = self.ip(&format!("-o link show dev {interface}"));
        let mut words = line
            .split_whitespace()
            .skip_while(|word| *word != "link/ether");
        words.nth(1).unwrap().parse().unwrap()
    }

    /// Sends a packet from the namespace, to the discard port of an address.
    pub fn send_to(&self, address: &str) {
        let address: IpAddr = address.parse().unwrap();
        let any: IpAddr = match address {
            IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
        };
        self.enter(|| {
            let socket = UdpSocket::bind((any, 0)).unwrap();
            socket.send_to(b"packet", (address, 9)).unwrap()
        });
    }

    /// Runs `test` on a thread of its own in the namespace.
    pub fn run<F: Future<Output = ()>>(&self, test: impl FnOnce() -> F + Send) {
        self.enter(|| {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build();
            runtime.unwrap().block_on(test());
        });
    }

    pub fn enter<T: Send>(&self, action: impl FnOnce() -> T + Send) -> T {
        let path = Path::new("/run/netns").join(&self.name);
        let in_namespace = || {
            setns(File::open(path).unwrap(), CloneFlags::CLONE_NEWNET).unwrap();
            action()
        };
        let outcome = std::thread::scope(|scope| scope.spawn(in_namespace).join());
        outcome.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let _ = Command::new("ip")
            .args(["netns", "delete", &self.name])
            .output();
    }
}

/// Connects two namespaces by a pair of interfaces of this name, and gives them the first two
/// addresses of 10.0.0.0/24 and fd00::/64. Both ends are up.
pub fn connect(director: &Namespace, peer: &Namespace, interface: &str) {
    let pair = format!(
        "link add {interface} type veth peer name {interface} netns {}",
        peer.name()
    );
    director.ip(&pair);
    for (host, namespace) in [(1, director), (2, peer)] {
        namespace.ip(&format!("address add 10.0.0.{host}/24 dev {interface}"));
        namespace.ip(&format!(
            "address add fd00::{host}/64 dev {interface} nodad"
        ));
        namespace.ip(&format!("link set {interface} up"));
    }
}

/// A director and a peer, connected by `eth0`.
pub fn pair() -> (Namespace, Namespace) {
    let (director, peer) = (Namespace::new("director"), Namespace::new("peer"));
    connect(&director, &peer, "eth0");
    (director, peer)
}

/// Removes the namespaces that earlier runs left behind when they were killed.
fn remove_leftovers() {
    let Ok(entries) = std::fs::read_dir("/run/netns") else {
        return;
    };
    for entry in entries.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let owner = name
            .strip_prefix("xvsnet-")
            .and_then(|rest| rest.split('-').next());
        if owner.is_some_and(|owner| !Path::new("/proc").join(owner).exists()) {
            let _ = Command::new("ip").args(["netns", "delete", &name]).output();
        }
    }
}

fn run(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    let output = output.unwrap_or_else(|error| panic!("cannot run {program}: {error}"));
    assert!(
        output.status.success(),
        "{program} {} failed: {}",
        arguments.join(" "),
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

/// A snapshot that a watcher keeps true.
pub struct Following {
    pub snapshot: Snapshot,
    pub resyncs: u32,
    changes: mpsc::Receiver<Change>,
}

impl Following {
    pub async fn start() -> Self {
        Self::start_with(Settings::default()).await
    }

    pub async fn start_with(settings: Settings) -> Self {
        let (snapshot, changes) = Watcher::start_with(settings).await.unwrap();
        Self {
            snapshot,
            changes,
            resyncs: 0,
        }
    }

    /// Follows the changes until something holds.
    pub async fn until(&mut self, what: &str, holds: impl Fn(&Snapshot) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !holds(&self.snapshot) {
            self.next(deadline, what).await;
        }
    }

    /// Follows the changes for a while, and returns the events.
    pub async fn for_a_while(&mut self, time: Duration) -> Vec<Event> {
        let deadline = Instant::now() + time;
        let mut seen = Vec::new();
        while let Ok(Some(change)) = timeout_at(deadline, self.changes.recv()).await {
            if let Change::Events(events) = &change {
                seen.extend(events.iter().cloned());
            }
            self.apply(change);
        }
        seen
    }

    /// Follows the changes until something holds, driving a resolver meanwhile. Returns its
    /// reviews.
    pub async fn resolve_until(
        &mut self,
        resolver: &mut Resolver,
        what: &str,
        holds: impl Fn(&Snapshot) -> bool,
    ) -> Vec<Review> {
        let deadline = Instant::now() + PATIENCE;
        let mut reviews = Vec::new();
        while !holds(&self.snapshot) {
            let review = resolver.drive(&self.snapshot).await.unwrap();
            let wakeup = Instant::from_std(review.wakeup).min(deadline);
            reviews.push(review);
            match timeout_at(wakeup, self.changes.recv()).await {
                Ok(change) => self.apply(change.unwrap()),
                Err(_) if Instant::now() >= deadline => self.give_up(what),
                Err(_) => {}
            }
        }
        reviews.push(resolver.drive(&self.snapshot).await.unwrap());
        reviews
    }

    /// Follows the changes for a while, driving a resolver meanwhile and looking after each step.
    /// Returns the events.
    pub async fn resolve_for(
        &mut self,
        resolver: &mut Resolver,
        time: Duration,
        look: impl Fn(&Snapshot),
    ) -> Vec<Event> {
        let deadline = Instant::now() + time;
        let mut seen = Vec::new();
        while Instant::now() < deadline {
            let review = resolver.drive(&self.snapshot).await.unwrap();
            let wakeup = Instant::from_std(review.wakeup).min(deadline);
            if let Ok(change) = timeout_at(wakeup, self.changes.recv()).await {
                let change = change.unwrap();
                if let Change::Events(events) = &change {
                    seen.extend(events.iter().cloned());
                }
                self.apply(change);
            }
            look(&self.snapshot);
        }
        seen
    }

    async fn next(&mut self, deadline: Instant, what: &str) {
        match timeout_at(deadline, self.changes.recv()).await {
            Ok(change) => self.apply(change.expect("the watcher goes on while it is listened to")),
            Err(_) => self.give_up(what),
        }
    }

    fn apply(&mut self, change: Change) {
        self.resyncs += u32::from(matches!(change, Change::Resync(_)));
        self.snapshot.apply_change(change);
    }

    fn give_up(&self, what: &str) -> ! {
        panic!(
            "waited in vain until {what}; the network is {:#?}",
            self.snapshot
        )
    }
}
