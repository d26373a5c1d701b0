//! Two hosts on one link, and our virtual routers on one of them.

use std::fs::File;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, UdpSocket};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use nix::sched::{CloneFlags, setns};
use tokio::sync::broadcast;
use vrrp::{Settings, State, Status};
use vrrp_host::{Daemon, Instance, Notify, Plan, VirtualAddress};

/// How long a test waits for something that should happen.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// A network namespace that goes with its owner, also when a test fails.
pub struct Host {
    pub name: String,
}

impl Host {
    pub fn new(label: &str) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        assert!(
            nix::unistd::geteuid().is_root(),
            "this test creates network namespaces, which only root may: run it as root"
        );
        remove_leftovers();
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("xvsvrrp-{}-{count}-{label}", std::process::id());
        run("ip", &["netns", "add", &name]);
        let host = Self { name };
        host.ip("link set lo up");
        host
    }

    /// Runs `ip` in the namespace, with arguments separated by blanks. Returns what it printed.
    pub fn ip(&self, arguments: &str) -> String {
        let mut all = vec!["-n", &self.name];
        all.extend(arguments.split_whitespace());
        run("ip", &all)
    }

    /// Whether an interface of this host has an address.
    pub fn holds(&self, address: &str) -> bool {
        let shown = self.ip("-o address show");
        shown
            .split_whitespace()
            .any(|word| word.split('/').next() == Some(address))
    }

    /// Sends a packet to the discard port of an address.
    pub fn send_to(&self, to: &str) {
        let to = address(to);
        let any: IpAddr = match to {
            IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
        };
        self.enter(|| {
            UdpSocket::bind((any, 0))
                .unwrap()
                .send_to(b"packet", (to, 9))
                .unwrap()
        });
    }

    /// Runs something in a thread inside the namespace.
    pub fn enter<T: Send>(&self, action: impl FnOnce() -> T + Send) -> T {
        let path = Path::new("/run/netns").join(&self.name);
        let inside = || {
            setns(File::open(path).unwrap(), CloneFlags::CLONE_NEWNET).unwrap();
            action()
        };
        let outcome = std::thread::scope(|scope| scope.spawn(inside).join());
        outcome.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        let _gone = Command::new("ip")
            .args(["netns", "delete", &self.name])
            .output();
    }
}

/// Removes the namespaces that earlier runs left behind when they were killed.
fn remove_leftovers() {
    for entry in std::fs::read_dir("/run/netns")
        .into_iter()
        .flatten()
        .flatten()
    {
        let name = entry.file_name().to_string_lossy().into_owned();
        let owner = name
            .strip_prefix("xvsvrrp-")
            .and_then(|rest| rest.split('-').next());
        if owner.is_some_and(|owner| !Path::new("/proc").join(owner).exists()) {
            let _gone = Command::new("ip").args(["netns", "delete", &name]).output();
        }
    }
}

/// Hosts on one bridge, each with an `eth0` of 10.9.0.N/24, 2001:db8::N/64 and fe80::N/64.
pub struct Segment {
    pub bridge: Host,
    pub hosts: Vec<Host>,
}

impl Segment {
    pub fn new(count: usize) -> Self {
        let bridge = Host::new("bridge");
        bridge.ip("link add br0 type bridge mcast_snooping 0");
        bridge.ip("link set br0 up");
        let hosts = (1..=count).map(|number| attach(&bridge, number)).collect();
        Self { bridge, hosts }
    }
}

fn attach(bridge: &Host, number: usize) -> Host {
    let host = Host::new(&format!("host{number}"));
    host.ip(&format!(
        "link add eth0 type veth peer name port{number} netns {}",
        bridge.name
    ));
    bridge.ip(&format!("link set port{number} master br0 up"));
    host.ip("link set eth0 addrgenmode none");
    host.ip(&format!("address add 10.9.0.{number}/24 dev eth0"));
    host.ip(&format!("address add 2001:db8::{number}/64 dev eth0 nodad"));
    host.ip(&format!("address add fe80::{number}/64 dev eth0 nodad"));
    host.ip("link set eth0 up");
    host
}

pub fn run(program: &str, arguments: &[&str]) -> String {
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

/// Waits until something holds, and says how long that took.
pub fn until(what: &str, mut holds: impl FnMut() -> bool) -> Duration {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < PATIENCE, "waited in vain until {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
    began.elapsed()
}

pub fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// An instance that holds what its adverts tell.
pub fn instance(settings: Settings) -> Instance {
    let prefix = |address: &IpAddr| if address.is_ipv4() { 24 } else { 64 };
    let addresses = settings.addresses.iter();
    Instance {
        addresses: addresses
            .map(|address| VirtualAddress::new(*address, Some(prefix(address))))
            .collect(),
        settings,
        source: None,
        tracks_source: false,
        routes: Vec::new(),
        rules: Vec::new(),
        vmac: None,
        accepts: true,
        ignores_link: false,
        announces_everywhere: false,
        promotes_secondaries: false,
        notify: Notify::default(),
    }
}

/// Our virtual routers on a host, with ways to ask that wait for the answer.
pub struct Ours(Daemon);

impl Ours {
    pub fn start(host: &Host, instances: Vec<Instance>) -> Self {
        Self::start_plan(
            host,
            Plan {
                instances,
                ..Plan::default()
            },
        )
    }

    pub fn start_plan(host: &Host, plan: Plan) -> Self {
        Self(host.enter(|| Daemon::start(plan, Arc::new(()), broadcast::channel(1).0).unwrap()))
    }

    pub fn all(&self) -> Vec<Status> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        runtime.block_on(self.0.status()).unwrap()
    }

    pub fn reload(&self, instances: Vec<Instance>) -> Result<(), vrrp_host::Error> {
        self.reload_plan(Plan {
            instances,
            ..Plan::default()
        })
    }

    pub fn reload_plan(&self, plan: Plan) -> Result<(), vrrp_host::Error> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        runtime.block_on(self.0.reload(plan))
    }

    pub fn status(&self) -> Status {
        self.all().remove(0)
    }

    pub fn state(&self) -> State {
        self.status().state
    }

    pub fn until(&self, state: State) -> Duration {
        until(&format!("ours is {state}"), || self.state() == state)
    }

    pub fn stop(self) {
        self.0.stop().unwrap();
    }
}
