//! What goes wrong, and for how long there were none, one or two masters then: a pair of ours, and a
//! pair of keepalived's at the same time.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{JoinHandle, sleep, spawn};
use std::time::{Duration, Instant};

use nix::ifaddrs::getifaddrs;
use nix::sched::{CloneFlags, setns};
use nix::sys::signal::Signal;
use nix::sys::time::TimeSpec;
use nix::time::{ClockId, clock_gettime, clock_settime};
use tempfile::TempDir;

use crate::keepalived::Keepalived;
use crate::process::{INTERVAL, Process, VIP};
use crate::support::{Host, Segment, run, until};

/// How long a failure lasts, where it passes.
const FAILURE: Duration = Duration::from_secs(2);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Ours,
    Keepalived,
}

enum Router {
    Ours(Process),
    Keepalived(Keepalived),
}

impl Router {
    fn start(kind: Kind, host: &Host, priority: u8, checked: &Path) -> Self {
        match kind {
            Kind::Ours => Self::Ours(Process::start(host, priority, checked)),
            Kind::Keepalived => {
                Self::Keepalived(Keepalived::start(host, &configuration(priority, checked)))
            }
        }
    }

    fn signal(&self, signal: Signal) {
        match self {
            Self::Ours(process) => process.signal(signal),
            Self::Keepalived(keepalived) => keepalived.signal(signal),
        }
    }

    fn crash(&mut self) {
        match self {
            Self::Ours(process) => process.signal(Signal::SIGKILL),
            Self::Keepalived(keepalived) => keepalived.crash(),
        }
    }

    fn reload(&mut self) {
        match self {
            Self::Ours(process) => process.reload(),
            Self::Keepalived(keepalived) => keepalived.reload(),
        }
    }

    fn stop(&mut self) {
        match self {
            Self::Ours(process) => process.stop(),
            Self::Keepalived(keepalived) => keepalived.end(),
        }
    }
}

fn configuration(priority: u8, checked: &Path) -> String {
    let (interval, checked) = (INTERVAL.as_secs_f64(), checked.display());
    format!(
        "global_defs {{\n  script_user root\n}}\nvrrp_script check {{\n  script \"/usr/bin/stat {checked}\"\n  interval 1\n  fall 1\n  rise 1\n}}\nvrrp_instance VI_1 {{\n  interface eth0\n  version 3\n  virtual_router_id 51\n  priority {priority}\n  advert_int {interval}\n  virtual_ipaddress {{\n    {VIP}/24\n  }}\n  track_script {{\n    check\n  }}\n}}\n"
    )
}

/// Two routers; the first is the better one.
struct Pair {
    kind: Kind,
    segment: Segment,
    routers: Vec<Router>,
    checked: Vec<PathBuf>,
    /// Whether the first host has power.
    powered: Arc<AtomicBool>,
    _folder: TempDir,
}

impl Pair {
    fn new(kind: Kind) -> Self {
        let folder = TempDir::new().unwrap();
        let checked: Vec<PathBuf> = (0..2)
            .map(|n| folder.path().join(format!("check{n}")))
            .collect();
        checked.iter().for_each(|path| fs::write(path, "").unwrap());
        let segment = Segment::new(2);
        let powered = Arc::new(AtomicBool::new(true));
        Self {
            kind,
            segment,
            routers: Vec::new(),
            checked,
            powered,
            _folder: folder,
        }
    }

    fn start(&mut self, number: usize) {
        let priority = [200, 100][number];
        let host = &self.segment.hosts[number];
        let router = Router::start(self.kind, host, priority, &self.checked[number]);
        self.routers.push(router);
    }

    fn first_is_master(&self) {
        until("the first is master", || self.segment.hosts[0].holds(VIP));
        sleep(INTERVAL * 10);
    }

    /// Drops what comes from these hosts, so many in a hundred.
    fn drop_from(&self, numbers: &[usize], percent: u32) {
        for number in numbers {
            let port = format!("port{}", number + 1);
            self.nft(&format!("add table netdev {port}"));
            let hook = format!("{{ type filter hook ingress device {port} priority 0; }}");
            self.nft(&format!("add chain netdev {port} in {hook}"));
            let drop = match percent {
                100 => "drop".to_owned(),
                some => format!("numgen random mod 100 < {some} drop"),
            };
            self.nft(&format!("add rule netdev {port} in {drop}"));
        }
    }

    fn heal(&self, numbers: &[usize]) {
        for number in numbers {
            self.nft(&format!("delete table netdev port{}", number + 1));
        }
    }

    fn nft(&self, command: &str) {
        run(
            "ip",
            &["netns", "exec", &self.segment.bridge.name, "nft", command],
        );
    }
}

/// For how long there were no, one and two masters.
#[derive(Debug, Clone, Copy, Default)]
struct Masters([Duration; 3]);

/// Looks at both hosts a thousand times a second until told to end.
fn count_masters(pair: &Pair, end: Arc<AtomicBool>) -> JoinHandle<Masters> {
    let namespaces = pair
        .segment
        .hosts
        .iter()
        .map(|host| format!("/run/netns/{}", host.name));
    let namespaces: Vec<File> = namespaces.map(|path| File::open(path).unwrap()).collect();
    let powered = pair.powered.clone();
    spawn(move || {
        let mut masters = Masters::default();
        let mut last = Instant::now();
        while !end.load(Ordering::Relaxed) {
            let mut count = 0;
            for (number, namespace) in namespaces.iter().enumerate() {
                setns(namespace, CloneFlags::CLONE_NEWNET).unwrap();
                let on = number > 0 || powered.load(Ordering::Relaxed);
                count += usize::from(on && holds());
            }
            let now = Instant::now();
            masters.0[count] += now - last;
            last = now;
            sleep(Duration::from_millis(1));
        }
        masters
    })
}

/// Whether this namespace holds the virtual address on an interface that is up.
fn holds() -> bool {
    let vip: std::net::Ipv4Addr = VIP.parse().unwrap();
    getifaddrs().unwrap().any(|interface| {
        let address = interface
            .address
            .and_then(|address| Some(address.as_sockaddr_in()?.ip()));
        interface
            .flags
            .contains(nix::net::if_::InterfaceFlags::IFF_UP)
            && address == Some(vip)
    })
}

const LOSS: &str = "30 % loss for 5 s";

type Failure = fn(&mut Pair);

/// A failure by its name, what happens, and who is to be master in the end.
const FAILURES: [(&str, Failure, usize); 13] = [
    ("power failure of the master", power_failure, 1),
    ("master is stopped", |pair| pair.routers[0].stop(), 1),
    ("master freezes for 2 s", freeze, 0),
    ("master is cut off for 2 s", |pair| cut(pair, &[0, 1]), 0),
    (
        "nothing comes from the master for 2 s",
        |pair| cut(pair, &[0]),
        0,
    ),
    (
        "nothing comes to the master for 2 s",
        |pair| cut(pair, &[1]),
        0,
    ),
    (LOSS, loss, 0),
    ("both start at once", start_both, 0),
    ("the better one comes later", start_later, 0),
    ("master's interface is down for 2 s", interface_down, 0),
    ("master's script fails for 2 s", script_fails, 0),
    ("master is reloaded", |pair| pair.routers[0].reload(), 0),
    ("four busy processes for 4 s", busy, 0),
];

/// Failures that need a machine of their own: one that may lose its time, and whose kernel can delay
/// packets.
const FAILURES_OF_A_MACHINE: [(&str, Failure, usize); 2] = [
    ("the clock steps by an hour, and back", clock_steps, 0),
    ("packets take 500 ms for 2 s", delay, 0),
];

fn clock_steps(_: &mut Pair) {
    let step = |by: i64| {
        let now = clock_gettime(ClockId::CLOCK_REALTIME).unwrap();
        clock_settime(ClockId::CLOCK_REALTIME, now + TimeSpec::new(by, 0)).unwrap();
    };
    for by in [3600, -7200, 3600] {
        step(by);
        sleep(FAILURE / 2);
    }
}

fn delay(pair: &mut Pair) {
    let bridge = &pair.segment.bridge.name;
    let tc = |change: &str, delay: &[&str]| {
        for port in ["port1", "port2"] {
            let before = ["netns", "exec", bridge, "tc", "qdisc", change, "dev", port];
            run("ip", &[&before[..], &["root"], delay].concat());
        }
    };
    tc("add", &["netem", "delay", "500ms"]);
    sleep(FAILURE);
    tc("delete", &[]);
}

fn power_failure(pair: &mut Pair) {
    pair.powered.store(false, Ordering::Relaxed);
    pair.segment.bridge.ip("link set port1 down");
    pair.routers[0].crash();
}

fn freeze(pair: &mut Pair) {
    pair.routers[0].signal(Signal::SIGSTOP);
    sleep(FAILURE);
    pair.routers[0].signal(Signal::SIGCONT);
}

fn cut(pair: &mut Pair, from: &[usize]) {
    pair.drop_from(from, 100);
    sleep(FAILURE);
    pair.heal(from);
}

fn loss(pair: &mut Pair) {
    pair.drop_from(&[0, 1], 30);
    sleep(Duration::from_secs(5));
    pair.heal(&[0, 1]);
}

fn start_both(pair: &mut Pair) {
    pair.routers.iter_mut().for_each(Router::stop);
    pair.routers.clear();
    pair.start(0);
    pair.start(1);
}

fn start_later(pair: &mut Pair) {
    pair.routers[0].stop();
    sleep(FAILURE);
    pair.start(0);
}

fn interface_down(pair: &mut Pair) {
    pair.segment.hosts[0].ip("link set eth0 down");
    sleep(FAILURE);
    pair.segment.hosts[0].ip("link set eth0 up");
}

fn script_fails(pair: &mut Pair) {
    fs::remove_file(&pair.checked[0]).unwrap();
    sleep(FAILURE);
    fs::write(&pair.checked[0], "").unwrap();
}

fn busy(_: &mut Pair) {
    let end = Instant::now() + Duration::from_secs(4);
    let busy: Vec<_> = (0..4)
        .map(|_| spawn(move || while Instant::now() < end {}))
        .collect();
    busy.into_iter().for_each(|thread| thread.join().unwrap());
}

/// What a failure does to a pair.
fn suffer(kind: Kind, (name, failure, last): (&str, Failure, usize)) -> Masters {
    let mut pair = Pair::new(kind);
    pair.start(0);
    pair.start(1);
    pair.first_is_master();
    // A failure comes at any time within an interval.
    sleep(INTERVAL.mul_f64(fastrand::f64()));
    let end = Arc::new(AtomicBool::new(false));
    let masters = count_masters(&pair, end.clone());
    failure(&mut pair);
    // Until whatever follows from it is through: a script is looked at once a second.
    sleep(Duration::from_secs(3));
    let holders: Vec<bool> = pair
        .segment
        .hosts
        .iter()
        .map(|host| host.holds(VIP))
        .collect();
    end.store(true, Ordering::Relaxed);
    let masters = masters.join().unwrap();
    let powered = pair.powered.load(Ordering::Relaxed);
    let found = [holders[0] && powered, holders[1]];
    assert_eq!(
        found,
        [last == 0, last == 1],
        "{kind:?}, {name}: who is master in the end"
    );
    masters
}

/// How often each failure happens to either pair.
const RUNS: usize = 5;

/// Times in milliseconds, of several runs.
struct Times(Vec<u128>);

impl Times {
    /// For how long there were so many masters.
    fn of(runs: &[Masters], count: usize) -> Self {
        let times = runs.iter().map(|Masters(times)| times[count].as_millis());
        let mut times: Vec<u128> = times.collect();
        times.sort_unstable();
        Self(times)
    }

    fn median(&self) -> u128 {
        self.0[self.0.len() / 2]
    }
}

/// The median, and the least and the most.
impl std::fmt::Display for Times {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (least, most) = (self.0[0], self.0[self.0.len() - 1]);
        if least == most {
            return write!(f, "{least} ms");
        }
        write!(f, "{} ms ({least} to {most})", self.median())
    }
}

#[test]
#[ignore = "takes ten minutes, and measures: cargo test -p xvs-vrrp-host --test peers -- --ignored failures_leave --nocapture"]
fn failures_leave_hosts_without_a_master_no_longer_than_with_keepalived() {
    compare(&FAILURES);
}

#[test]
#[ignore = "changes the machine's clock: ./x oracle run --sleepless oracle/vrrp/failures.sh PEERS"]
fn a_machines_failures_leave_hosts_without_a_master_no_longer_than_with_keepalived() {
    if std::env::var_os("XVS_TEST_OWN_MACHINE").is_none() {
        return;
    }
    compare(&FAILURES_OF_A_MACHINE);
}

fn compare(failures: &[(&str, Failure, usize)]) {
    /// Medians of a few runs differ by as much, since a failure comes at any time within an interval.
    const JITTER: u128 = 60;
    println!("| failure | no master: ours | keepalived | two masters: ours | keepalived |");
    println!("|---|---|---|---|---|");
    let mut later = Vec::new();
    for failure in failures.iter().copied() {
        let runs = (0..RUNS).map(|_| {
            // Both end before the test does, also where one of them fails.
            std::thread::scope(|scope| {
                let theirs = scope.spawn(|| suffer(Kind::Keepalived, failure));
                (suffer(Kind::Ours, failure), theirs.join().unwrap())
            })
        });
        let (ours, theirs): (Vec<Masters>, Vec<Masters>) = runs.unzip();
        let [none, two] = [0, 2].map(|count| (Times::of(&ours, count), Times::of(&theirs, count)));
        println!(
            "| {} | {} | {} | {} | {} |",
            failure.0, none.0, none.1, two.0, two.1
        );
        for (ours, theirs) in [none, two] {
            // Which packets are lost is chance.
            if failure.0 != LOSS && ours.median() > theirs.median() + JITTER {
                later.push(failure.0);
            }
        }
    }
    assert!(later.is_empty(), "later than keepalived: {later:?}");
}
