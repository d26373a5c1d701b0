//! Network namespaces and folders of state for tests, which go with their owners.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use control::Sizes;
use nix::mount::{MntFlags, umount2};
use nix::sched::{CloneFlags, setns};
use plane_bpf::Plane;

/// What begins the names of everything that these tests make.
const PREFIX: &str = "xvspl";
/// How long a test waits for something that should happen.
const PATIENCE: Duration = Duration::from_secs(120);

/// Numbers that tell what the tests of this process make.
fn unique() -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    format!("{PREFIX}-{}-{count}", std::process::id())
}

/// A folder of folders of state, with its own BPF file system.
pub struct Root(PathBuf);

impl Root {
    pub fn new() -> Self {
        assert!(
            nix::unistd::geteuid().is_root(),
            "this test loads BPF programs, which only root may: run it as root"
        );
        remove_leftovers();
        let path = std::env::temp_dir().join(unique());
        fs::create_dir(&path).unwrap();
        Self(path)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    /// The folder of state of a network namespace.
    pub fn state(&self, namespace: &Namespace) -> PathBuf {
        let cookie = namespace.enter(|| plane_bpf::netns_cookie().unwrap());
        let state = self.0.join(cookie.to_string());
        fs::create_dir_all(&state).unwrap();
        state
    }

    /// Where its BPF file system is mounted.
    pub fn pins(&self) -> PathBuf {
        self.0.join("bpf")
    }
}

impl Drop for Root {
    fn drop(&mut self) {
        remove_root(&self.0);
    }
}

/// Ends what a folder of folders of state still has.
fn remove_root(root: &Path) {
    let states = fs::read_dir(root).into_iter().flatten().flatten();
    for state in states {
        let _ = plane_bpf::remove(&state.path());
    }
    let _ = umount2(&root.join("bpf"), MntFlags::MNT_DETACH);
    let _ = fs::remove_dir_all(root);
}

/// A network namespace that goes with its owner, also when a test fails.
pub struct Namespace {
    name: String,
}

impl Namespace {
    pub fn new() -> Self {
        let name = unique();
        run("ip", &["netns", "add", &name]);
        let namespace = Self { name };
        namespace.ip("link set lo up");
        namespace
    }

    /// One with a pair of interfaces, `veth0` and `veth1`, both up.
    pub fn with_interfaces() -> Self {
        let namespace = Self::new();
        namespace.ip("link add veth0 type veth peer name veth1");
        namespace.ip("link set veth0 up");
        namespace.ip("link set veth1 up");
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

    /// Runs `tc` in the namespace.
    pub fn tc(&self, arguments: &str) -> String {
        let mut all = vec!["-n", &self.name];
        all.extend(arguments.split_whitespace());
        run("tc", &all)
    }

    /// The number of an interface.
    pub fn ifindex(&self, interface: &str) -> u32 {
        let line = self.ip(&format!("-o link show dev {interface}"));
        line.split(':').next().unwrap().parse().unwrap()
    }

    /// Runs something on a thread of its own in the namespace.
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

/// Small tables.
pub fn sizes() -> Sizes {
    Sizes::chosen(4096, 16, 64, plane_bpf::processors().unwrap()).unwrap()
}

/// A data plane with small tables.
pub fn create(state: &Path) -> Plane {
    Plane::create(state, &sizes()).unwrap()
}

/// The data plane that an earlier one left.
pub fn adopt(state: &Path) -> Plane {
    Plane::adopt(state).unwrap().expect("there is a data plane")
}

/// Waits until something holds.
pub fn until(what: &str, holds: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < deadline, "waited in vain until {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
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

/// Removes what earlier runs left behind when they were killed.
fn remove_leftovers() {
    let is_left = |name: &str| {
        let owner = name.strip_prefix(PREFIX)?.split('-').nth(1)?;
        (!Path::new("/proc").join(owner).exists()).then_some(())
    };
    for path in entries(&std::env::temp_dir()) {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if is_left(&name).is_some() {
            remove_root(&path);
        }
    }
    for path in entries(Path::new("/run/netns")) {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if is_left(&name).is_some() {
            let _ = Command::new("ip").args(["netns", "delete", &name]).output();
        }
    }
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).collect()
}
