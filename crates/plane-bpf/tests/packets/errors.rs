//! ICMP errors of the director's own: RFC 792, RFC 1812 section 4.3, and as the kernel's IPVS
//! sends them (precedence 0xc0, TTL 64, up to 576 bytes).

use abi::Reason;
use etherparse::{Ipv4HeaderSlice, SlicedPacket};
use forward::Action;

use crate::bed::Bed;
use crate::frames::{ACK, Packet, SYN, assert_checksums};
use crate::lan::{
    LOST, NARROW, NARROW_MTU, NOBODY, OWN_MAC, SERVER, SERVER_PORT, TO_ASKED, TO_DEAD, TO_NARROW,
    VIRTUAL, WEB, mac_of,
};

/// Checks an error that answers a packet: to whom, what about, and how much of it is inside.
fn assert_error(told: &[u8], about: &[u8], (kind, code): (u8, u8), mtu: u32) {
    let about_ip = Ipv4HeaderSlice::from_slice(&about[14..]).unwrap();
    let ip = Ipv4HeaderSlice::from_slice(&told[14..]).unwrap();
    assert!(SlicedPacket::from_ethernet(told).is_ok());
    assert_checksums(told);
    let kept = (about.len() - 14).min(576 - 28);
    assert_eq!(told[..6], mac_of(about_ip.source()));
    assert_eq!(told[6..12], OWN_MAC);
    assert_eq!(
        (ip.source(), ip.destination()),
        (VIRTUAL, about_ip.source())
    );
    assert_eq!((told[15], ip.ttl(), ip.protocol().0), (0xc0, 64, 1));
    assert_eq!(usize::from(ip.total_len()), 28 + kept);
    assert_eq!(told.len(), 14 + 28 + kept);
    assert!(!ip.is_fragmenting_payload() && !ip.dont_fragment());
    let message = &told[34..];
    assert_eq!(message[..2], [kind, code]);
    assert_eq!(message[4..8], mtu.to_be_bytes());
    assert_eq!(message[8..], about[14..14 + kept]);
}

#[test]
fn the_client_of_a_service_without_destination_is_told_port_unreachable() {
    let bed = Bed::shared();
    for length in [0, 1, 2, 3, 500, 507, 508, 509, 1400] {
        let about = Packet::to_service(40001, NOBODY, SYN)
            .payload(length)
            .frame();
        let told = bed.must(&about, Action::Send, Reason::NoDestination);
        assert_error(&told, &about, (3, 3), 0);
    }
    assert_eq!(bed.connections(), (0, 0));
}

#[test]
fn the_client_is_told_host_unreachable_where_the_server_does_not_answer() {
    let bed = Bed::shared();
    let about = Packet::to_service(40001, TO_DEAD, SYN).frame();
    for _ in 0..2 {
        let told = bed.must(&about, Action::Send, Reason::HostUnreachable);
        assert_error(&told, &about, (3, 1), 0);
    }
    assert_eq!(bed.connections(), (1, 0));
}

#[test]
fn nobody_is_told_while_the_server_is_being_asked_for() {
    let bed = Bed::shared();
    let about = Packet::to_service(40001, TO_ASKED, SYN).frame();
    bed.must(&about, Action::Drop, Reason::NextHopUnresolved);
}

#[test]
fn the_sender_is_told_when_the_time_to_live_runs_out() {
    let bed = Bed::shared();
    for ttl in [0, 1] {
        let about = Packet {
            ttl,
            ..Packet::to_service(40001, WEB, SYN)
        }
        .frame();
        let told = bed.must(&about, Action::Send, Reason::TimeToLive);
        assert_error(&told, &about, (11, 0), 0);
    }
    let enough = Packet {
        ttl: 2,
        ..Packet::to_service(40001, WEB, SYN)
    };
    let left = bed.must(&enough.frame(), Action::Send, Reason::Forwarded);
    assert_eq!(left, enough.sent_to(SERVER, SERVER_PORT).frame());
}

#[test]
fn the_server_is_told_when_the_time_to_live_of_its_reply_runs_out() {
    let bed = Bed::shared();
    let syn = Packet::to_service(40001, WEB, SYN).frame();
    bed.must(&syn, Action::Send, Reason::Forwarded);
    let about = Packet {
        ttl: 1,
        ..Packet::from_server(40001, ACK)
    }
    .frame();
    let told = bed.must(&about, Action::Send, Reason::TimeToLive);
    assert_error(&told, &about, (11, 0), 0);
}

#[test]
fn the_sender_of_what_is_too_large_is_told_how_large_it_may_be() {
    let bed = Bed::shared();
    let sent = |length| Packet {
        dont_fragment: true,
        ..Packet::to_service(40001, TO_NARROW, SYN).payload(length)
    };
    let most = NARROW_MTU as usize - 40;
    let fits = sent(most);
    let left = bed.must(&fits.frame(), Action::Send, Reason::Forwarded);
    assert_eq!(left, fits.sent_to(NARROW, SERVER_PORT).frame());

    // IPVS counts the time to live down before it looks at the size.
    let about = sent(most + 1);
    let told = bed.must(&about.frame(), Action::Send, Reason::TooBig);
    let ttl = about.ttl - 1;
    let quoted = Packet { ttl, ..about }.frame();
    assert_error(&told, &quoted, (3, 4), NARROW_MTU);
}

/// RFC 1812, section 4.3.2.7: not about what came from an address that is nobody's.
#[test]
fn nobody_is_told_who_cannot_be_reached() {
    let bed = Bed::shared();
    for from in [LOST, [0, 0, 0, 1], [224, 0, 0, 1], [255; 4]] {
        let packet = Packet {
            from: (from, 1),
            ..Packet::to_service(0, NOBODY, SYN)
        };
        bed.must(&packet.frame(), Action::Drop, Reason::NoDestination);
    }
}

#[test]
fn errors_beyond_the_rate_limit_are_held_back() {
    let bed = Bed::new();
    bed.change(|view| {
        view.globals.icmp_burst.store(2);
        view.globals.icmp_per_second.store(1);
    });
    bed.advance(10);
    let about = Packet::to_service(40001, NOBODY, SYN).frame();
    let told: Vec<Action> = (0..3).map(|_| bed.send(&about).action).collect();
    assert_eq!(told, [Action::Send, Action::Send, Action::Drop]);
    let last = bed.send(&about);
    assert_eq!(
        last.counted,
        [Reason::NoDestination, Reason::IcmpRateLimited]
    );
    bed.advance(10);
    assert_error(
        &bed.must(&about, Action::Send, Reason::NoDestination),
        &about,
        (3, 3),
        0,
    );
}
