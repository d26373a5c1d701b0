//! The data plane outlives its daemon.

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use conntable::{Kind, NewConnection, Slot as _};
use control::Plane as _;
use plane_bpf::{Error, Mode, Plane, Point};

use crate::attaching::{on_tc, tc_point};
use crate::support::{Namespace, Root, adopt, create, until};

fn connection() -> NewConnection<u32> {
    NewConnection {
        client: u32::from_ne_bytes([10, 0, 0, 2]),
        client_port: 4000,
        virtual_address: u32::from_ne_bytes([10, 0, 0, 1]),
        virtual_port: 80,
        keeps_port: true,
        protocol: 6,
        method: 0,
        kind: Kind::Connection,
        control: 0,
        destination: 5,
        client_hop: 0,
    }
}

/// Leaves traces in the tables.
fn mark(plane: &Plane) {
    plane.connections().last().unwrap().0[7].write(&connection());
    plane.view().stats.last().unwrap().in_bytes.store(1 << 40);
    plane.view().members.last().unwrap().number.store(77);
}

/// Whether the traces are there.
fn is_marked(plane: &Plane) -> bool {
    let slot = &plane.connections().last().unwrap().0[7];
    slot.client() == connection().client
        && slot.destination_port(8080) == 80
        && slot.destination() == 5
        && plane.view().stats.last().unwrap().in_bytes.load() == 1 << 40
        && plane.view().members.last().unwrap().number.load() == 77
}

#[test]
fn connections_and_counters_are_as_they_were() {
    let (root, namespace) = (Root::new(), Namespace::new());
    let state = root.state(&namespace);
    assert!(Plane::adopt(&state).unwrap().is_none());
    let plane = create(&state);
    mark(&plane);
    let (sizes, seed) = (plane.sizes(), plane.view().globals.hash_seed.load());
    drop(plane);
    let plane = adopt(&state);
    assert!(is_marked(&plane));
    assert_eq!(plane.sizes(), sizes);
    assert_eq!(plane.view().globals.hash_seed.load(), seed);
}

#[test]
fn a_data_plane_is_not_made_over_another() {
    let (root, namespace) = (Root::new(), Namespace::new());
    let state = root.state(&namespace);
    mark(&create(&state));
    let error = Plane::create(&state, &crate::support::sizes()).unwrap_err();
    assert!(matches!(error, Error::Exists { .. }), "{error}");
    assert!(is_marked(&adopt(&state)));
}

#[test]
fn tables_of_another_version_are_refused_and_left_alone() {
    let (root, namespace) = (Root::new(), Namespace::with_interfaces());
    let state = root.state(&namespace);
    let ifindex = namespace.ifindex("veth0");
    let plane = create(&state);
    mark(&plane);
    namespace.enter(|| plane.attach(ifindex, Mode::Tc)).unwrap();
    let version = &plane.view().globals.abi_version;
    version.store(abi::ABI_VERSION + 1);
    let error = Plane::adopt(&state).unwrap_err();
    let Error::OtherVersion { found, expected } = error else {
        panic!("{error}");
    };
    assert_eq!((found, expected), (abi::ABI_VERSION + 1, abi::ABI_VERSION));
    assert!(error.to_string().contains("--fresh"), "{error}");
    assert_eq!(on_tc(&namespace, "veth0").len(), 1);

    version.store(abi::ABI_VERSION);
    assert!(is_marked(&adopt(&state)));
}

#[test]
fn what_was_not_made_to_its_end_is_made_anew() {
    let (root, namespace) = (Root::new(), Namespace::new());
    let state = root.state(&namespace);
    let plane = create(&state);
    plane.view().globals.abi_version.store(0);
    drop(plane);
    assert!(Plane::adopt(&state).unwrap().is_none());
    create(&state);
}

#[test]
fn programs_of_another_object_are_replaced_where_they_are_attached() {
    let (root, namespace) = (Root::new(), Namespace::with_interfaces());
    let state = root.state(&namespace);
    let ifindex = namespace.ifindex("veth0");
    let plane = create(&state);
    namespace
        .enter(|| plane.attach(ifindex, Mode::XdpNative))
        .unwrap();
    mark(&plane);
    drop(plane);
    let before = on_tc(&namespace, "veth0");

    // As if they came from another object.
    let programs = root
        .pins()
        .join(state.file_name().unwrap())
        .join("programs");
    let mark = || {
        let entries = fs::read_dir(&programs).unwrap().flatten();
        let mut names = entries.map(|entry| entry.file_name().into_string().unwrap());
        names.find(|name| name.starts_with("object-")).unwrap()
    };
    let own = mark();
    fs::rename(programs.join(&own), programs.join("object-another")).unwrap();

    let plane = namespace.enter(|| adopt(&state));
    let after = on_tc(&namespace, "veth0");
    assert_eq!((before.len(), after.len()), (1, 1));
    assert_ne!(before, after);
    assert_eq!(mark(), own);
    assert!(is_marked(&plane));
    let attached = namespace.enter(|| plane.attached());
    let points: Vec<Point> = attached.iter().map(|attached| attached.point).collect();
    assert_eq!(points, [Point::XdpNative, tc_point()]);

    let plane = namespace.enter(|| adopt(&state));
    assert_eq!(on_tc(&namespace, "veth0"), after);
    drop(plane);
}

/// Names the folder of state to [`daemon`].
const STATE: &str = "XVS_TEST_STATE";
/// What [`daemon`] makes when it is at work, in the folder of state.
const READY: &str = "ready";

/// Not a test by itself: a daemon, as another process.
#[test]
#[ignore = "other tests run it as a process of its own"]
fn daemon() {
    let Some(state) = std::env::var_os(STATE) else {
        return;
    };
    let state = Path::new(&state);
    let plane = Plane::adopt(state)
        .unwrap()
        .unwrap_or_else(|| create(state));
    mark(&plane);
    let ifindex = nix::net::if_::if_nametoindex("veth0").unwrap();
    plane.attach(ifindex, Mode::Tc).unwrap();
    fs::write(state.join(READY), "").unwrap();
    loop {
        std::thread::park();
    }
}

/// Runs [`daemon`] by `ip netns exec`, until it is at work.
fn start_daemon(namespace: &Namespace, state: &Path) -> Child {
    let _ = fs::remove_file(state.join(READY));
    let child = Command::new("ip")
        .args(["netns", "exec", namespace.name()])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "surviving::daemon", "--ignored", "--nocapture"])
        .env(STATE, state)
        .stdout(Stdio::null())
        .spawn();
    until("the daemon is at work", || state.join(READY).exists());
    child.unwrap()
}

fn kill(mut daemon: Child) {
    daemon.kill().unwrap();
    assert_eq!(daemon.wait().unwrap().signal(), Some(libc::SIGKILL));
}

#[test]
fn a_killed_daemon_in_ip_netns_exec_leaves_everything_as_it_was() {
    let (root, namespace) = (Root::new(), Namespace::with_interfaces());
    let state = root.state(&namespace);
    kill(start_daemon(&namespace, &state));
    let programs = on_tc(&namespace, "veth0");
    assert_eq!(programs.len(), 1);

    let plane = namespace.enter(|| adopt(&state));
    assert!(is_marked(&plane));
    let attached = namespace.enter(|| plane.attached());
    assert_eq!(attached.len(), 1);
    drop(plane);

    // The next daemon has a mount namespace of its own, too.
    kill(start_daemon(&namespace, &state));
    assert_eq!(on_tc(&namespace, "veth0"), programs);
}
