//! Two hosts on a link: ours and the peer's.

use std::fs::File;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use bfd::{Event, Settings, Status};
use bfd_host::Daemon;
use nix::sched::{CloneFlags, setns};
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

/// How long a test waits for something that should happen.
pub const SOON: Duration = Duration::from_secs(20);

fn run(program: &str, arguments: &str) -> String {
    let output = Command::new(program)
        .args(arguments.split_whitespace())
        .output()
        .expect("the program is installed");
    assert!(
        output.status.success(),
        "{program} {arguments}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Waits until something holds.
fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < SOON, "not in time: {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Two network namespaces and a link: ours has 10.9.0.1 and 2001:db8::1, the peer's end .2 and ::2.
pub struct Link {
    ours: String,
    peer: String,
    folder: TempDir,
}

impl Link {
    pub fn new(label: &str) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        assert!(
            nix::unistd::geteuid().is_root(),
            "this test creates network namespaces, which only root may: run it as root"
        );
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = |end| format!("xvsbfd-{}-{number}-{label}-{end}", std::process::id());
        let link = Self {
            ours: name("ours"),
            peer: name("peer"),
            folder: tempfile::tempdir().expect("a folder"),
        };
        for namespace in [&link.ours, &link.peer] {
            run("ip", &format!("netns add {namespace}"));
            run("ip", &format!("-n {namespace} link set lo up"));
        }
        let (ours, peer) = (&link.ours, &link.peer);
        run(
            "ip",
            &format!("-n {ours} link add our0 type veth peer name peer0 netns {peer}"),
        );
        for (namespace, interface, number) in [(ours, "our0", 1), (peer, "peer0", 2)] {
            let ip = |words: &str| run("ip", &format!("-n {namespace} {words}"));
            ip(&format!("address add 10.9.0.{number}/24 dev {interface}"));
            ip(&format!(
                "address add 2001:db8::{number}/64 dev {interface} nodad"
            ));
            ip(&format!("link set {interface} up"));
        }
        link
    }

    /// Starts a program in the peer's namespace.
    fn start(&self, words: &[&str]) -> Child {
        let mut all = vec!["netns", "exec", &self.peer];
        all.extend(words);
        Command::new("ip")
            .args(all)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("ip is installed")
    }

    fn file(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        for namespace in [&self.ours, &self.peer] {
            let _gone = Command::new("ip")
                .args(["netns", "delete", namespace])
                .output();
        }
    }
}

/// bird, with BFD alone.
pub struct Bird {
    child: Child,
    socket: String,
}

impl Bird {
    pub fn start(link: &Link, neighbors: &str) -> Self {
        let intervals = "min rx interval 100 ms; min tx interval 200 ms; multiplier 3;";
        let text = format!(
            "router id 10.9.0.2;\nprotocol device {{ }}\n\
             protocol bfd {{ interface \"*\" {{ {intervals} }}; multihop {{ {intervals} }}; {neighbors} }}\n"
        );
        let (conf, socket) = (link.file("bird.conf"), link.file("bird.ctl"));
        std::fs::write(&conf, text).expect("the folder is writable");
        let child = link.start(&["bird", "-f", "-c", &conf, "-s", &socket]);
        eventually("bird runs", || Path::new(&socket).exists());
        Self { child, socket }
    }

    pub fn command(&self, command: &str) -> String {
        run("birdc", &format!("-s {} {command}", self.socket))
    }

    pub fn sessions(&self) -> String {
        self.command("show bfd sessions")
    }

    pub fn until(&self, what: &str, holds: impl Fn(&str) -> bool) {
        eventually(what, || holds(&self.sessions()));
    }

    pub fn signal(&self, signal: &str) {
        run("kill", &format!("-{signal} {}", self.child.id()));
    }
}

impl Drop for Bird {
    fn drop(&mut self) {
        let _killed = self.child.kill();
        let _ended = self.child.wait();
    }
}

/// keepalived, with BFD and a virtual router that tracks it: without one it runs none.
pub struct Keepalived(Child);

impl Keepalived {
    pub fn start(link: &Link) -> Self {
        let text = "
            bfd_instance ours {
                neighbor_ip 10.9.0.1
                source_ip 10.9.0.2
                min_rx 50
                min_tx 50
                multiplier 3
            }
            vrrp_instance VI_1 {
                interface peer0
                virtual_router_id 51
                track_bfd {
                    ours
                }
                virtual_ipaddress {
                    10.9.0.100
                }
            }
        ";
        let conf = link.file("keepalived.conf");
        std::fs::write(&conf, text).expect("the folder is writable");
        let pid = |name: &str| format!("--{name}={}", link.file(name));
        Self(link.start(&[
            "keepalived",
            "-n",
            "-f",
            &conf,
            &pid("pid"),
            &pid("vrrp_pid"),
            &pid("bfd_pid"),
            &pid("checkers_pid"),
        ]))
    }

    /// Ends it as the system would: its processes with it.
    pub fn kill(&mut self) {
        run("kill", &format!("-TERM {}", self.0.id()));
        let _ended = self.0.wait();
    }
}

impl Drop for Keepalived {
    fn drop(&mut self) {
        if matches!(self.0.try_wait(), Ok(None)) {
            self.kill();
        }
    }
}

/// Our sessions.
pub struct Ours {
    runtime: Runtime,
    daemon: Option<Daemon>,
    events: UnboundedReceiver<Event>,
}

impl Ours {
    pub fn start(link: &Link) -> Self {
        let path = Path::new("/run/netns").join(&link.ours);
        let (tell, events) = unbounded_channel();
        let start = || {
            let namespace = File::open(path).expect("the namespace is there");
            setns(namespace, CloneFlags::CLONE_NEWNET).expect("root may enter it");
            Daemon::start(tell).expect("it starts")
        };
        let daemon = std::thread::scope(|scope| scope.spawn(start).join());
        Self {
            runtime: tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .expect("a runtime"),
            daemon: Some(daemon.expect("it starts")),
            events,
        }
    }

    fn daemon(&self) -> &Daemon {
        self.daemon.as_ref().expect("it runs")
    }

    pub fn run(&self, settings: Vec<Settings>) {
        let configured = self.daemon().configure(settings, 1);
        self.runtime
            .block_on(configured)
            .expect("the ports are free");
    }

    pub fn status(&self) -> Vec<Status> {
        self.runtime
            .block_on(self.daemon().status())
            .expect("it runs")
    }

    pub fn until(&self, what: &str, holds: impl Fn(&[Status]) -> bool) {
        eventually(what, || holds(&self.status()));
    }

    /// The next thing that happens.
    pub fn next(&mut self, patience: Duration) -> Event {
        let next = async { tokio::time::timeout(patience, self.events.recv()).await };
        let next = self.runtime.block_on(next);
        next.expect("something happens in time")
            .expect("the sessions run")
    }
}
