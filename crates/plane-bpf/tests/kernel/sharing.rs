//! Programs and the daemon see the same tables, clock and frames.

use std::time::{Duration, Instant};

use abi::{AddressCell, Reason, address_flags};
use control::{Plane as _, TablePrefix};
use etherparse::PacketBuilder;
use plane_bpf::{Hook, Plane};

use crate::support::{Namespace, Root, create, sizes};

/// What TC and XDP do with a packet that is not ours.
const TC_ACT_OK: u32 = 0;
const XDP_PASS: u32 = 2;

/// A segment that opens a connection to port 80 of 10.0.0.1, by the loopback interface.
fn opening_segment() -> Vec<u8> {
    let mut frame = Vec::new();
    PacketBuilder::ethernet2([2, 0, 0, 0, 0, 1], [0; 6])
        .ipv4([10, 0, 0, 2], [10, 0, 0, 1], 64)
        .tcp(4000, 80, 1, 1024)
        .syn()
        .write(&mut frame, &[])
        .unwrap();
    frame
}

fn counted(plane: &Plane, reason: Reason) -> u64 {
    let processors = plane.view().reasons.iter();
    processors
        .map(|counters| counters.0[reason as usize].load())
        .sum()
}

#[test]
fn tables_have_the_sizes_that_were_asked_for() {
    let (root, namespace) = (Root::new(), Namespace::new());
    let plane = create(&root.state(&namespace));
    assert_eq!(plane.sizes(), sizes());
    let globals = plane.view().globals;
    assert_eq!(globals.abi_version.load(), abi::ABI_VERSION);
    let buckets = plane.connections().len() as u32;
    assert_eq!(globals.buckets.load(), buckets);
}

#[test]
fn what_a_program_counts_is_seen_in_the_tables() {
    let (root, namespace) = (Root::new(), Namespace::new());
    let plane = create(&root.state(&namespace));
    let ran = namespace.enter(|| plane.run(Hook::Ingress, &opening_segment(), 3).unwrap());
    assert_eq!(ran.code, TC_ACT_OK);
    assert_eq!(ran.frame, opening_segment());
    assert_eq!(counted(&plane, Reason::NotOurs), 3);
}

#[test]
fn what_is_written_to_the_tables_is_seen_by_a_program() {
    let (root, namespace) = (Root::new(), Namespace::new());
    let plane = create(&root.state(&namespace));
    let run = || namespace.enter(|| plane.run(Hook::Ingress, &opening_segment(), 1).unwrap());
    run();
    assert_eq!(counted(&plane, Reason::NoService), 0);

    let address = u32::from_ne_bytes([10, 0, 0, 1]);
    let mask = plane.view().globals.address_mask.load();
    let hash = abi::hash_address(address);
    let filtered = abi::Filtered::of(hash, mask);
    let filter = plane.view().address_filter_of(0);
    filter[filtered.word as usize].0.store(filtered.bits);
    let index = hash & mask;
    let cell: &AddressCell = &plane.view().addresses_of(0)[index as usize];
    cell.flags
        .store(address_flags::VIRTUAL | address_flags::LOCAL);
    cell.address.publish(address);
    run();
    assert_eq!(counted(&plane, Reason::NoService), 1);
}

#[test]
fn a_program_sees_the_interface_that_a_frame_came_in_by() {
    let (root, namespace) = (Root::new(), Namespace::with_interfaces());
    let plane = create(&root.state(&namespace));
    let ifindex = namespace.ifindex("veth0");
    // It is for the loopback interface, not for this one.
    let ran = namespace.enter(|| plane.run_on(Hook::Ingress, ifindex, &opening_segment(), 1));
    assert_eq!(ran.unwrap().code, TC_ACT_OK);
    assert_eq!(counted(&plane, Reason::NotForThisHost), 1);

    let ran = namespace.enter(|| plane.run(Hook::Xdp, &opening_segment(), 1));
    assert_eq!(ran.unwrap().code, XDP_PASS);
}

#[test]
fn ticks_pass_as_the_kernel_counts_them() {
    let (root, namespace) = (Root::new(), Namespace::new());
    let state = root.state(&namespace);
    let plane = create(&state);
    let hz = plane.hz();
    // What kernels of distributions are built with.
    assert!([100, 250, 300, 1000].contains(&hz), "{hz}");

    // A busy machine may stop this for long between any two lines.
    let ticks = |time: Duration| time.as_millis() as u32 * hz / 1000;
    let before = Instant::now();
    let start = plane.now();
    let after = Instant::now();
    let check = |plane: &Plane| {
        let least = ticks(after.elapsed());
        let passed = plane.now().wrapping_sub(start);
        let most = ticks(before.elapsed());
        let expected = least.saturating_sub(2)..=most + 2;
        assert!(expected.contains(&passed), "{passed} of {expected:?} ticks");
    };
    std::thread::sleep(Duration::from_millis(300));
    check(&plane);
    // Another one reads the kernel's tick anew and must come to the same.
    drop(plane);
    check(&crate::support::adopt(&state));
}

#[test]
fn time_moves_with_the_offset() {
    let (root, namespace) = (Root::new(), Namespace::new());
    let plane = create(&root.state(&namespace));
    let before = plane.now();
    plane.view().globals.clock_offset.store(1_000_000);
    assert!(plane.now().wrapping_sub(before) >= 1_000_000);
}

#[test]
fn routes_and_neighbours_are_set_listed_and_removed() {
    let (root, namespace) = (Root::new(), Namespace::new());
    let plane = create(&root.state(&namespace));
    let way = abi::RouteValue {
        ifindex: 2,
        ..abi::RouteValue::default()
    };
    let prefix = |is_v6, first, length| TablePrefix {
        is_v6,
        address: [u32::from_ne_bytes(first), 0, 0, 0],
        length,
    };
    let default = prefix(false, [0; 4], 0);
    let v4 = prefix(false, [10, 1, 0, 0], 16);
    let v6 = prefix(true, [0x20, 1, 0xd, 0xb8], 32);
    for wanted in [v4, default, v6] {
        plane.set_route(wanted, Some(way)).unwrap();
    }
    let mut routes = plane.known_routes().unwrap();
    routes.sort_unstable();
    assert_eq!(routes, [default, v4, v6]);
    for gone in [v4, v4, v6] {
        plane.set_route(gone, None).unwrap();
    }
    assert_eq!(plane.known_routes().unwrap(), [default]);

    let key = abi::NeighbourKey {
        ifindex: 2,
        family: 6,
        address: v6.address,
    };
    plane.set_neighbour(key, Some(7)).unwrap();
    assert_eq!(plane.known_neighbours().unwrap(), [key]);
    plane.set_neighbour(key, None).unwrap();
    plane.set_neighbour(key, None).unwrap();
    assert!(plane.known_neighbours().unwrap().is_empty());
}

#[test]
fn waiting_for_packets_ends() {
    let (root, namespace) = (Root::new(), Namespace::new());
    let plane = create(&root.state(&namespace));
    let start = Instant::now();
    for _ in 0..3 {
        plane.wait_for_readers();
    }
    assert!(start.elapsed() < Duration::from_secs(5));
}
