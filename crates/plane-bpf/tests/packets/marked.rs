//! Services of firewall marks, and the rules that give packets their marks.

use std::sync::{LazyLock, Mutex, MutexGuard};

use abi::{MARK_RULES, MarkRule, Reason, View};
use forward::Action;
use model::{Command, Destination, Forwarding, Netmask, Persistence, ServiceRequest};

use crate::bed::Bed;
use crate::frames::{Packet, SYN};
use crate::lan::{CLIENT, IFINDEX, VIRTUAL};

const SEND: Action = Action::Send;
/// An address that is nobody's service but by its mark.
const FREE: [u8; 4] = [10, 0, 0, 99];
const ALL: u32 = u32::MAX;

fn service(mark: u32, persistent: bool) -> Vec<Command> {
    let key = format!("FWM {mark}");
    let mut request = ServiceRequest::new(key.parse().unwrap(), "rr");
    request.persistence = persistent.then_some(Persistence {
        timeout: 100,
        netmask: Netmask::V4([255; 4].into()),
    });
    let mut commands = vec![Command::AddService(request)];
    for server in ["192.168.0.2:0", "192.168.0.5:0"] {
        commands.push(Command::AddDestination {
            service: key.parse().unwrap(),
            destination: Destination::new(server.parse().unwrap(), Forwarding::Masq),
        });
    }
    commands
}

/// All directors, without rules.
fn bed() -> MutexGuard<'static, Bed> {
    static BED: LazyLock<Mutex<Bed>> = LazyLock::new(|| Mutex::new(made()));
    let bed = Bed::cleared(&BED);
    bed.change(|view| {
        for rule in view.mark_rules {
            rule.is_used.store(0);
            for mask in [&rule.to_mask[0], &rule.from_mask[0], &rule.protocol_mask] {
                mask.store(0);
            }
            rule.ifindex_mask.store(0);
            rule.family_mask.store(0);
            rule.first_port.store(0);
            rule.mark.store(0);
        }
    });
    bed
}

fn made() -> Bed {
    let mut bed = Bed::new();
    bed.apply(&service(7, false));
    bed.apply(&service(8, true));
    bed
}

/// Writes rules on both sides.
fn rules(bed: &Bed, write: &[fn(&MarkRule)]) {
    bed.change(|view: View<'_>| {
        for side in view.mark_rules.chunks(MARK_RULES as usize) {
            for (rule, write) in side.iter().zip(write) {
                rule.last_port.store(65535);
                write(rule);
                rule.is_used.store(1);
            }
        }
    });
}

fn to(address: [u8; 4], port: u16, client_port: u16) -> Packet {
    Packet {
        to: (address, port),
        ..Packet::to_service(client_port, port, SYN)
    }
}

fn goes_to(bed: &Bed, packet: &Packet) -> ([u8; 4], u16) {
    let frame = bed.must(&packet.frame(), SEND, Reason::Forwarded);
    let address = frame[30..34].try_into().unwrap();
    (address, u16::from_be_bytes([frame[36], frame[37]]))
}

fn to_free(rule: &MarkRule) {
    rule.mark.store(7);
    rule.to[0].store(u32::from_ne_bytes(FREE));
    rule.to_mask[0].store(ALL);
}

#[test]
fn a_packet_goes_to_the_service_of_the_mark_that_a_rule_gives_it_and_keeps_its_port() {
    let bed = bed();
    bed.must(&to(FREE, 80, 40001).frame(), Action::Pass, Reason::NotOurs);
    rules(&bed, &[to_free]);
    let (first, port) = goes_to(&bed, &to(FREE, 80, 40001));
    assert_eq!(port, 80);
    let (second, port) = goes_to(&bed, &to(FREE, 443, 40002));
    assert_eq!(port, 443);
    assert_ne!(first, second);
    // The same connection again.
    assert_eq!(goes_to(&bed, &to(FREE, 80, 40001)), (first, 80));
    assert_eq!(bed.connections(), (2, 0));
    let other = to([10, 0, 0, 98], 80, 40003).frame();
    bed.must(&other, Action::Pass, Reason::NotOurs);
}

#[test]
fn a_mark_comes_before_the_address_s_own_service() {
    let bed = bed();
    rules(
        &bed,
        &[|rule| {
            rule.mark.store(7);
            rule.first_port.store(80);
            rule.last_port.store(80);
            rule.protocol.store(6);
            rule.protocol_mask.store(ALL);
        }],
    );
    // The address's own service has another port, which it would be sent to.
    assert_eq!(goes_to(&bed, &to(VIRTUAL, 80, 40001)).1, 80);
    let other = goes_to(&bed, &to(VIRTUAL, 86, 40002));
    assert_eq!(other.1, 86);
}

#[test]
fn the_first_rule_that_fits_counts_and_a_mark_of_0_leaves_a_packet_alone() {
    let bed = bed();
    let alone: fn(&MarkRule) = |rule| {
        rule.from[0].store(u32::from_ne_bytes(CLIENT));
        rule.from_mask[0].store(ALL);
        rule.first_port.store(8000);
        rule.last_port.store(8999);
    };
    rules(&bed, &[alone, to_free]);
    let left = to(FREE, 8080, 40001).frame();
    bed.must(&left, Action::Pass, Reason::NotOurs);
    assert_eq!(goes_to(&bed, &to(FREE, 7999, 40002)).1, 7999);
    assert_eq!(goes_to(&bed, &to(FREE, 9000, 40003)).1, 9000);
}

#[test]
fn a_rule_may_ask_for_the_interface_and_the_family() {
    let bed = bed();
    let by_interface: fn(&MarkRule) = |rule| {
        to_free(rule);
        rule.ifindex.store(IFINDEX + 1);
        rule.ifindex_mask.store(ALL);
    };
    let by_family: fn(&MarkRule) = |rule| {
        to_free(rule);
        rule.family.store(6);
        rule.family_mask.store(ALL);
    };
    rules(&bed, &[by_interface, by_family]);
    let packet = to(FREE, 80, 40001);
    bed.must(&packet.frame(), Action::Pass, Reason::NotOurs);
    bed.change(|view| {
        for rule in view.mark_rules {
            rule.family.store(4);
        }
    });
    goes_to(&bed, &packet);
}

#[test]
fn a_persistent_mark_keeps_a_client_s_ports_together() {
    let bed = bed();
    rules(
        &bed,
        &[|rule| {
            to_free(rule);
            rule.mark.store(8);
        }],
    );
    let (first, _) = goes_to(&bed, &to(FREE, 80, 40001));
    for (index, port) in [443, 8080, 21].into_iter().enumerate() {
        let packet = to(FREE, port, 40002 + index as u16);
        assert_eq!(goes_to(&bed, &packet), (first, port));
    }
    bed.each(|view| {
        let templates: u32 = view.loads.iter().map(|load| load.persistent.load()).sum();
        assert_eq!(templates, 1);
    });
}
