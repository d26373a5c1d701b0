//! Fragments: the first by its ports, the later ones by the first's decision.

use abi::Reason;
use etherparse::Ipv4HeaderSlice;
use etherparse::checksum::Sum16BitWords;
use forward::Action;

use crate::bed::Bed;
use crate::frames::Packet;
use crate::lan::{CLIENT, DNS, NARROW, OWN_MAC, SERVER, SERVER_PORT, TO_NARROW, VIRTUAL, mac_of};

const MORE: u16 = 0x2000;

/// Cuts a frame with a 20-byte IP header at multiples of eight bytes of its payload.
pub fn cut(frame: &[u8], at: &[usize]) -> Vec<Vec<u8>> {
    let payload = &frame[34..];
    let ends = at.iter().copied().chain([payload.len()]);
    let starts = [0].into_iter().chain(at.iter().copied());
    let pieces = starts.zip(ends).map(|(start, end)| {
        let more = if end == payload.len() { 0 } else { MORE };
        let mut piece = [&frame[..34], &payload[start..end]].concat();
        piece[16..18].copy_from_slice(&((20 + end - start) as u16).to_be_bytes());
        piece[20..22].copy_from_slice(&((start / 8) as u16 | more).to_be_bytes());
        with_header_checksum(piece)
    });
    pieces.collect()
}

fn with_header_checksum(mut frame: Vec<u8>) -> Vec<u8> {
    let sum = Ipv4HeaderSlice::from_slice(&frame[14..])
        .unwrap()
        .to_header();
    frame[24..26].copy_from_slice(&sum.calc_header_checksum().to_be_bytes());
    frame
}

fn datagram(port: u16) -> Packet {
    Packet {
        flags: None,
        ..Packet::to_service(port, DNS, 0).payload(100)
    }
}

#[test]
fn later_fragments_go_where_the_first_went() {
    let bed = Bed::shared();
    let packet = datagram(40001);
    let sent = cut(&packet.frame(), &[16, 48]);
    let expected = cut(&packet.sent_to(SERVER, DNS).frame(), &[16, 48]);
    let reasons = [
        Reason::Forwarded,
        Reason::FragmentForwarded,
        Reason::FragmentForwarded,
    ];
    for ((sent, expected), reason) in sent.iter().zip(&expected).zip(reasons) {
        assert_eq!(&bed.must(sent, Action::Send, reason), expected);
    }
}

#[test]
fn fragments_of_a_reply_go_back_to_the_client() {
    let bed = Bed::shared();
    let packet = datagram(40002);
    bed.must(&packet.frame(), Action::Send, Reason::Forwarded);
    let reply = Packet {
        from: packet.to,
        to: packet.from,
        ..packet
    };
    let reply = Packet {
        from: (SERVER, DNS),
        from_mac: mac_of(SERVER),
        ..reply
    };
    let sent = cut(&reply.frame(), &[24]);
    let expected = cut(&reply.sent_from_service(DNS).frame(), &[24]);
    let reasons = [Reason::Replied, Reason::FragmentForwarded];
    for ((sent, expected), reason) in sent.iter().zip(&expected).zip(reasons) {
        assert_eq!(&bed.must(sent, Action::Send, reason), expected);
    }
}

/// Only where they really leave can the kernel cut copies: see `forward::piece`.
#[test]
fn a_datagram_that_is_too_large_leaves_in_fragments() {
    let bed = Bed::native();
    let packet = Packet {
        flags: None,
        ..Packet::to_service(40011, TO_NARROW, 0).payload(1400)
    };
    // 600 bytes hold 580 of payload, 576 in units of eight; a UDP header belongs to the payload.
    let sent = cut(
        &packet.clone().sent_to(NARROW, SERVER_PORT).frame(),
        &[576, 1152],
    );
    let left = bed.must(&packet.frame(), Action::Consume, Reason::Forwarded);
    assert_eq!(left, sent.concat());
}

#[test]
fn a_fragment_that_is_too_large_leaves_in_fragments() {
    let bed = Bed::native();
    let packet = Packet {
        flags: None,
        ..Packet::to_service(40012, TO_NARROW, 0).payload(2400)
    };
    let expected = packet.clone().sent_to(NARROW, SERVER_PORT).frame();
    let pieces = cut(&packet.frame(), &[800, 1600]);
    let reasons = [
        Reason::Forwarded,
        Reason::FragmentForwarded,
        Reason::FragmentForwarded,
    ];
    let ends = [576, 800, 1376, 1600, 2176];
    let expected = cut(&expected, &ends);
    for ((piece, expected), reason) in pieces.iter().zip(expected.chunks(2)).zip(reasons) {
        let left = bed.must(piece, Action::Consume, reason);
        assert_eq!(left, expected.concat());
    }
}

#[test]
fn what_cannot_be_cut_is_dropped() {
    let bed = Bed::native();
    let packet = Packet {
        flags: None,
        ..Packet::to_service(40013, TO_NARROW, 0).payload(1400)
    };
    let with_options = Packet {
        options: vec![1; 4],
        ..packet.clone()
    };
    // A device is to complete it: so far it is the sum of the pseudo-header.
    let mut without_checksum = packet.frame();
    let words = [CLIENT, VIRTUAL, [0, 17, 0, 0]];
    let mut sum = Sum16BitWords::new();
    for word in words {
        sum = sum.add_4bytes(word);
    }
    let sum = sum.add_2bytes(1408u16.to_be_bytes());
    without_checksum[40..42].copy_from_slice(&(!sum.ones_complement()).to_ne_bytes());
    for frame in [with_options.frame(), without_checksum] {
        bed.must(&frame, Action::Drop, Reason::CannotFragment);
    }
}

#[test]
fn a_fragment_before_its_first_is_dropped() {
    let bed = Bed::shared();
    let pieces = cut(&datagram(40003).frame(), &[16]);
    bed.must(&pieces[1], Action::Drop, Reason::FragmentBeforeFirst);
    bed.must(&pieces[0], Action::Send, Reason::Forwarded);
    bed.must(&pieces[1], Action::Send, Reason::FragmentForwarded);
}

/// The kernel forgets a datagram after `ipfrag_time`, 30 s.
#[test]
fn a_fragment_long_after_its_first_is_dropped() {
    let bed = Bed::shared();
    let pieces = cut(&datagram(40004).frame(), &[16]);
    bed.must(&pieces[0], Action::Send, Reason::Forwarded);
    bed.advance(31);
    bed.must(&pieces[1], Action::Drop, Reason::FragmentBeforeFirst);
}

#[test]
fn a_first_fragment_without_ports_is_dropped() {
    let bed = Bed::shared();
    let mut packet = datagram(40005).frame();
    packet.truncate(34 + 4);
    packet[16..18].copy_from_slice(&24u16.to_be_bytes());
    packet[20..22].copy_from_slice(&MORE.to_be_bytes());
    let packet = with_header_checksum(packet);
    bed.must(&packet, Action::Drop, Reason::FragmentTooShort);
}

#[test]
fn fragments_to_another_port_all_pass() {
    let bed = Bed::shared();
    let packet = Packet {
        to: (VIRTUAL, 9999),
        to_mac: OWN_MAC,
        ..datagram(40006)
    };
    let pieces = cut(&packet.frame(), &[16]);
    bed.must(&pieces[0], Action::Pass, Reason::NoService);
    bed.must(&pieces[1], Action::Pass, Reason::NoConnection);
}
