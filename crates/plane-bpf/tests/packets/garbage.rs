//! Frames that no sender should make. Nothing crashes, each has exactly one reason
//! ([`Bed::send`] checks it), and all hosts agree.

use proptest::prelude::*;

use crate::bed::Bed;
use crate::frames::{ACK, Packet, SYN, icmp};
use crate::lan::{
    CLIENT, CLIENT_MAC, DNS, NOBODY, SERVER, SERVER_PORT, TO_DEAD, VIRTUAL, WEB, mac_of,
};

/// One frame of each kind that the director knows.
fn fixtures() -> Vec<Vec<u8>> {
    let syn = Packet::to_service(40001, WEB, SYN);
    let reply = Packet::from_server(40001, SYN | ACK);
    let udp = Packet {
        flags: None,
        ..Packet::to_service(40002, DNS, 0).payload(24)
    };
    let sent = Packet::to_service(40001, WEB, ACK)
        .sent_to(SERVER, SERVER_PORT)
        .frame();
    let replied = Packet::from_server(40001, ACK)
        .sent_from_service(WEB)
        .frame();
    let mut first = udp.frame();
    first[20] |= 0x20;
    let mut later = udp.frame();
    later[21] = 3;
    vec![
        syn.frame(),
        reply.frame(),
        Packet::to_service(40001, WEB, ACK).payload(9).frame(),
        udp.frame(),
        first,
        later,
        Packet {
            options: vec![1; 12],
            ..syn.clone()
        }
        .frame(),
        Packet {
            vlan: Some(9),
            ..syn.clone()
        }
        .frame(),
        Packet {
            ttl: 1,
            ..syn.clone()
        }
        .frame(),
        Packet::to_service(40003, NOBODY, SYN).frame(),
        Packet::to_service(40004, TO_DEAD, SYN).frame(),
        icmp(mac_of(SERVER), SERVER, CLIENT, (3, 1), &sent[14..]),
        icmp(CLIENT_MAC, CLIENT, VIRTUAL, (3, 4), &replied[14..]),
    ]
}

/// A sequence of numbers that looks random and is the same in every run (xorshift, Marsaglia).
struct Numbers(u64);

impl Numbers {
    fn next(&mut self, below: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 16) as usize % below
    }
}

/// Whether a tag in the frame keeps TC from answering: frames that are run by hand have it there,
/// where the network has it beside them.
fn is_tagged(frame: &[u8]) -> bool {
    frame.len() > 13 && matches!(frame[12..14], [0x81, 0] | [0x88, 0xa8])
}

/// A fixture with a few bytes of its headers changed.
fn mutated(fixtures: &[Vec<u8>], numbers: &mut Numbers) -> Vec<u8> {
    let mut frame = fixtures[numbers.next(fixtures.len())].clone();
    for _ in 0..=numbers.next(3) {
        let at = numbers.next(frame.len().min(76));
        frame[at] = numbers.next(256) as u8;
    }
    if numbers.next(4) == 0 {
        frame.truncate(14 + numbers.next(frame.len() - 13));
    }
    frame
}

#[test]
fn every_truncation_of_every_fixture_has_its_reason() {
    let bed = Bed::shared();
    for fixture in fixtures() {
        for length in 0..=fixture.len() {
            bed.send(&fixture[..length]);
        }
    }
}

/// Where lengths are: version and header length, total length, fragment offset, TCP's data offset.
#[test]
fn wild_lengths_have_their_reasons() {
    let bed = Bed::shared();
    for fixture in fixtures().iter().filter(|fixture| !is_tagged(fixture)) {
        for at in [14, 16, 17, 20, 21, 46] {
            for value in [
                0, 1, 4, 5, 15, 0x40, 0x44, 0x45, 0x4f, 0x50, 0x65, 0x7f, 0x80, 0xff,
            ] {
                let mut frame = fixture.clone();
                if at < frame.len() {
                    frame[at] = value;
                    bed.send(&frame);
                }
            }
        }
    }
}

#[test]
fn thousands_of_mutated_frames_have_their_reasons() {
    let bed = Bed::shared();
    let fixtures: Vec<Vec<u8>> = fixtures().into_iter().filter(|f| !is_tagged(f)).collect();
    let mut numbers = Numbers(0x9e37_79b9_7f4a_7c15);
    for _ in 0..4000 {
        let frame = mutated(&fixtures, &mut numbers);
        if !is_tagged(&frame) {
            bed.send(&frame);
        }
    }
}

#[test]
fn thousands_of_random_frames_have_their_reasons() {
    let bed = Bed::shared();
    let mut numbers = Numbers(0x2545_f491_4f6c_dd1d);
    for _ in 0..2000 {
        let mut frame: Vec<u8> = (0..15 + numbers.next(200))
            .map(|_| numbers.next(256) as u8)
            .collect();
        if numbers.next(2) == 0 {
            frame[..14].copy_from_slice(&[0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 9, 9, 8, 0]);
        }
        if !is_tagged(&frame) {
            bed.send(&frame);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..Default::default() })]

    #[test]
    fn no_sequence_of_mutated_frames_breaks_the_director(seed in 1u64.., random in prop::collection::vec(any::<u8>(), 0..300)) {
        let bed = Bed::native();
        let fixtures = fixtures();
        let mut numbers = Numbers(seed);
        bed.send(&random);
        for _ in 0..200 {
            bed.send(&mutated(&fixtures, &mut numbers));
        }
    }
}
