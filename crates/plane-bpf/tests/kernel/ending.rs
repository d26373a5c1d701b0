//! The end of a data plane leaves nothing behind.

use std::fs;

use aya::programs::{loaded_links, loaded_programs};
use plane_bpf::{Mode, TcMeans};

use crate::attaching::on_tc;
use crate::support::{Namespace, Root, create, until};

#[test]
fn the_end_leaves_nothing_on_interfaces_or_in_the_file_system() {
    let (root, namespace) = (Root::new(), Namespace::with_interfaces());
    let state = root.state(&namespace);
    let (first, second) = (namespace.ifindex("veth0"), namespace.ifindex("veth1"));
    let plane = create(&state);
    namespace
        .enter(|| plane.attach(first, Mode::XdpNative))
        .unwrap();
    namespace
        .enter(|| plane.attach_by(second, Mode::Tc, TcMeans::Filter))
        .unwrap();
    let own = on_tc(&namespace, "veth0");
    drop(plane);

    namespace.enter(|| plane_bpf::remove(&state)).unwrap();
    assert!(!namespace.ip("link show").contains("xdp"));
    assert!(on_tc(&namespace, "veth0").is_empty());
    assert_eq!(namespace.tc("filter show dev veth1 ingress"), "");
    assert!(!namespace.tc("qdisc show").contains("clsact"));
    assert!(!root.pins().exists(), "the BPF file system is still there");
    // The kernel frees programs some time after their last user is gone.
    until("the programs are gone", || {
        let mut programs = loaded_programs().flatten();
        !programs.any(|program| own.contains(&program.id()))
    });
    let mut links = loaded_links().flatten();
    assert!(!links.any(|link| own.contains(&link.program_id())));
}

#[test]
fn the_end_comes_while_a_daemon_holds_the_tables() {
    let (root, namespace) = (Root::new(), Namespace::with_interfaces());
    let state = root.state(&namespace);
    let ifindex = namespace.ifindex("veth0");
    let plane = create(&state);
    namespace
        .enter(|| plane.attach(ifindex, Mode::XdpGeneric))
        .unwrap();
    namespace.enter(|| plane_bpf::remove(&state)).unwrap();
    assert!(on_tc(&namespace, "veth0").is_empty());
    assert!(!namespace.ip("link show").contains("xdp"));
    assert!(!root.pins().exists(), "the BPF file system is still there");
    // Tables that are mapped stay readable.
    assert_eq!(plane.sizes(), crate::support::sizes());
}

#[test]
fn ending_what_is_not_there_is_no_error() {
    let (root, namespace) = (Root::new(), Namespace::new());
    let state = root.state(&namespace);
    plane_bpf::remove(&state).unwrap();
    let plane = create(&state);
    drop(plane);
    plane_bpf::remove(&state).unwrap();
    plane_bpf::remove(&state).unwrap();
}

#[test]
fn the_end_of_one_data_plane_leaves_the_others() {
    let (root, one, other) = (Root::new(), Namespace::new(), Namespace::with_interfaces());
    let plane = create(&root.state(&other));
    let ifindex = other.ifindex("veth0");
    other.enter(|| plane.attach(ifindex, Mode::Tc)).unwrap();
    drop(create(&root.state(&one)));
    one.enter(|| plane_bpf::remove(&root.state(&one))).unwrap();
    assert_eq!(on_tc(&other, "veth0").len(), 1);
    let folders = fs::read_dir(root.pins()).unwrap().flatten();
    let folders = folders.filter(|entry| entry.file_type().unwrap().is_dir());
    assert_eq!(folders.count(), 1);
}
