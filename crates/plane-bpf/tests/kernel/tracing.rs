//! Programs that trace take the places of the usual ones, and give them back.

use std::sync::Arc;
use std::time::{Duration, Instant};

use abi::{Reason, TraceHook, TraceRecord, TraceVerdict};
use control::Plane as _;
use plane_bpf::{Hook, Mode, Plane, TraceRecords, Tracing};

use crate::support::{Namespace, Root, adopt, create};

/// A frame that concerns nobody: an Ethernet header and an IPv4 one.
const FRAME: [u8; 54] = {
    let mut frame = [0; 54];
    frame[12] = 0x08;
    frame[14] = 0x45;
    frame[17] = 40;
    frame[22] = 64;
    frame[23] = 6;
    frame[29] = 1;
    frame[33] = 2;
    frame
};

pub fn trace(plane: &Plane, state: &std::path::Path) -> (Arc<Tracing>, TraceRecords) {
    let begun = Instant::now();
    let (tracing, records) = Tracing::load(state).unwrap();
    println!("loaded in {:?}", begun.elapsed());
    let tracing = Arc::new(tracing);
    plane.start_tracing(tracing.clone()).unwrap();
    let filter = &tracing.filters()[2];
    filter.reasons.store(u64::MAX);
    filter.sample.store(1);
    filter.budget.store(10);
    filter.window.store(1 << 30);
    filter.active.store(1);
    (tracing, records)
}

pub fn all(records: &mut TraceRecords) -> Vec<TraceRecord> {
    std::iter::from_fn(|| records.take()).collect()
}

#[test]
fn a_packet_is_reported_at_every_hook_as_it_came_and_as_it_left() {
    let (root, namespace) = (Root::new(), Namespace::new());
    let state = root.state(&namespace);
    let plane = create(&state);
    let (tracing, mut records) = trace(&plane, &state);
    plane.run(Hook::Xdp, &FRAME, 1).unwrap();
    plane.run(Hook::Ingress, &FRAME, 1).unwrap();
    plane.run_egress(&FRAME).unwrap();
    let found = all(&mut records);
    let hooks: Vec<_> = found.iter().map(|record| record.hook.load()).collect();
    let expected = [TraceHook::Xdp, TraceHook::Ingress, TraceHook::Egress];
    assert_eq!(hooks, expected.map(|hook| hook as u32));
    for record in &found {
        assert_eq!(record.verdict.load(), TraceVerdict::Pass as u32);
        assert_eq!(record.tracers.load(), 1 << 2);
        assert_eq!(record.before.length.load(), FRAME.len() as u32);
        let bytes: Vec<u8> = record
            .before
            .bytes
            .iter()
            .flat_map(|word| word.load().to_ne_bytes())
            .collect();
        let kept = record.before.kept.load() as usize;
        assert_eq!(bytes[..kept], FRAME);
        assert_eq!(record.family.load(), 4);
    }
    let reasons: Vec<u32> = found.iter().map(|record| record.reason.load()).collect();
    let [elsewhere, not_ours] = [Reason::NotForThisHost, Reason::NotOurs].map(|r| r as u32);
    assert_eq!(reasons[0], elsewhere);
    assert_eq!(reasons[2], not_ours);
    let matched: u64 = tracing
        .processors()
        .iter()
        .map(|processor| processor.tallies[2].matched.load())
        .sum();
    assert_eq!(matched, 3);
}

#[test]
fn what_is_over_the_budget_is_counted_and_not_reported() {
    let (root, namespace) = (Root::new(), Namespace::new());
    let state = root.state(&namespace);
    let plane = create(&state);
    let (tracing, mut records) = trace(&plane, &state);
    plane.run(Hook::Ingress, &FRAME, 1000).unwrap();
    let reported = all(&mut records).len() as u64;
    let sum = |number: fn(&abi::TraceTally) -> u64| -> u64 {
        let tallies = tracing.processors().iter().map(|p| &p.tallies[2]);
        tallies.map(number).sum()
    };
    assert_eq!(sum(|tally| tally.matched.load()), 1000);
    assert_eq!(sum(|tally| tally.reported.load()), reported);
    // The kernel may move the run to another processor, which has a budget of its own.
    assert!((10..=20).contains(&reported), "{reported}");
    assert_eq!(sum(|tally| tally.withheld.load()), 1000 - reported);
}

#[test]
fn every_window_has_the_same_budget_and_all_the_rest_is_counted() {
    let (root, namespace) = (Root::new(), Namespace::new());
    let state = root.state(&namespace);
    let plane = create(&state);
    let (tracing, mut records) = trace(&plane, &state);
    let sum = |number: fn(&abi::TraceTally) -> u64| -> u64 {
        let tallies = tracing.processors().iter().map(|p| &p.tallies[2]);
        tallies.map(number).sum()
    };
    // As short as they get: a few milliseconds.
    tracing.filters()[2].window.store(1);
    let begun = Instant::now();
    let mut sent = 0;
    while begun.elapsed() < Duration::from_millis(300) {
        plane.run(Hook::Ingress, &FRAME, 1000).unwrap();
        sent += 1000;
    }
    let ticks_per_second = plane.view().globals.ticks_per_second.load();
    let windows = begun.elapsed().as_secs_f64() * f64::from(ticks_per_second) + 2.0;
    let reported = all(&mut records).len() as u64;
    let (matched, withheld) = (sum(|t| t.matched.load()), sum(|t| t.withheld.load()));
    let lost = sum(|tally| tally.lost.load());
    assert_eq!(matched, sent);
    assert_eq!(reported + withheld + lost, sent);
    // Each processor that the runs may be on has a budget of its own.
    let most = windows * 10.0 * tracing.processors().len() as f64;
    let taken = reported + lost;
    assert!(taken > 20 && (taken as f64) <= most, "{taken} of {most}");
}

#[test]
fn the_programs_are_back_in_their_places_afterwards_and_after_a_crash() {
    let (root, namespace) = (Root::new(), Namespace::with_interfaces());
    let state = root.state(&namespace);
    let ifindex = namespace.ifindex("veth0");
    let plane = create(&state);
    let counted = |plane: &Plane| -> u64 {
        let counters = plane.view().reasons.iter();
        counters
            .map(|c| c.0.iter().map(|c| c.load()).sum::<u64>())
            .sum()
    };
    namespace.enter(|| {
        plane.attach(ifindex, Mode::XdpGeneric).unwrap();
        let (_tracing, mut records) = trace(&plane, &state);
        ping(&namespace);
        assert!(!all(&mut records).is_empty());
        plane.stop_tracing().unwrap();
        let before = counted(&plane);
        ping(&namespace);
        assert!(counted(&plane) > before);
        assert!(all(&mut records).is_empty());

        let (tracing, _) = trace(&plane, &state);
        drop((plane, tracing));
        let plane = adopt(&state);
        let (_, mut records) = trace(&plane, &state);
        plane.stop_tracing().unwrap();
        let before = counted(&plane);
        ping(&namespace);
        assert!(counted(&plane) > before);
        assert!(all(&mut records).is_empty());
        assert!(!root.pins().join("trace").exists());
    });
}

/// Has the kernel send something into `veth1`, which comes in by `veth0`.
fn ping(namespace: &Namespace) {
    namespace.ip("link set veth1 down");
    namespace.ip("link set veth1 up");
    let socket = std::net::UdpSocket::bind("[::]:0").unwrap();
    let deadline = Instant::now() + Duration::from_secs(3);
    let ifindex = namespace.ifindex("veth1");
    let to: std::net::SocketAddr =
        std::net::SocketAddrV6::new("ff02::1".parse().unwrap(), 9, 0, ifindex).into();
    while Instant::now() < deadline {
        if socket.send_to(b"x", to).is_ok() {
            std::thread::sleep(Duration::from_millis(100));
            return;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    panic!("veth1 does not send");
}
