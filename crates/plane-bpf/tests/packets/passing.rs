//! What is not the director's goes up the stack untouched.

use abi::Reason;
use etherparse::PacketBuilder;
use forward::Action;

use crate::bed::Bed;
use crate::frames::{ACK, FIN, Packet, RST, SYN, icmp};
use crate::lan::{CLIENT, CLIENT_MAC, ELSEWHERE, OWN_MAC, VIRTUAL, WEB};

/// Packets that pass, why, and what they are.
fn passed() -> Vec<(&'static str, Vec<u8>, Reason)> {
    let syn = Packet::to_service(40001, WEB, SYN);
    let arp = [&[0; 6], &CLIENT_MAC, &[8, 6][..], &[0; 28]].concat();
    let mut echo = Vec::new();
    PacketBuilder::ethernet2(CLIENT_MAC, OWN_MAC)
        .ipv4(CLIENT, VIRTUAL, 64)
        .icmpv4_echo_request(1, 2)
        .write(&mut echo, &[7; 56])
        .unwrap();
    let mut esp = syn.frame();
    esp[14 + 9] = 50;
    let to = |to| Packet { to, ..syn.clone() }.frame();
    vec![
        ("ARP", arp, Reason::NotIp),
        (
            "another's MAC",
            Packet {
                to_mac: [2; 6],
                ..syn.clone()
            }
            .frame(),
            Reason::NotForThisHost,
        ),
        (
            "a broadcast",
            Packet {
                to_mac: [255; 6],
                ..syn.clone()
            }
            .frame(),
            Reason::NotForThisHost,
        ),
        ("another address", to(([10, 9, 9, 9], WEB)), Reason::NotOurs),
        (
            "an address elsewhere",
            to((ELSEWHERE, WEB)),
            Reason::AddressNotLocal,
        ),
        ("another port", to((VIRTUAL, 9999)), Reason::NoService),
        (
            "UDP to a TCP port",
            Packet {
                flags: None,
                ..syn.clone()
            }
            .frame(),
            Reason::NoService,
        ),
        ("a protocol without ports", esp, Reason::NoService),
        (
            "an ACK",
            Packet::to_service(40001, WEB, ACK).frame(),
            Reason::NotSyn,
        ),
        (
            "a FIN",
            Packet::to_service(40001, WEB, FIN).frame(),
            Reason::NotSyn,
        ),
        (
            "a RST",
            Packet::to_service(40001, WEB, RST).frame(),
            Reason::NotSyn,
        ),
        (
            "SYN and RST",
            Packet::to_service(40001, WEB, SYN | RST).frame(),
            Reason::NotSyn,
        ),
        (
            "no flags",
            Packet::to_service(40001, WEB, 0).frame(),
            Reason::NotSyn,
        ),
        (
            "a server's own packet",
            Packet::from_server(40001, SYN).frame(),
            Reason::NoConnection,
        ),
        ("a ping", echo, Reason::IcmpOther),
        (
            "an error about no connection",
            icmp(
                CLIENT_MAC,
                CLIENT,
                VIRTUAL,
                (3, 3),
                &Packet::from_server(1, ACK).frame()[14..],
            ),
            Reason::IcmpOther,
        ),
    ]
}

#[test]
fn what_is_not_ours_passes_untouched() {
    let bed = Bed::shared();
    for (what, frame, reason) in passed() {
        let seen = bed.send(&frame);
        assert_eq!((seen.action, seen.reason), (Action::Pass, reason), "{what}");
        assert_eq!(seen.bytes, frame, "{what}");
    }
    assert_eq!(bed.connections(), (0, 0));
}
