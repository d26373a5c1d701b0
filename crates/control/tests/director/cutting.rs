//! Packets that travel as several in one, on their way into a tunnel that has a checksum around each.

use abi::Reason;
use control::{Director, Plane};
use etherparse::{Ipv4Slice, PacketBuilder, UdpSlice};
use forward::Action;
use model::{Command, Destination, Forwarding, Tunnel, TunnelChecksum, TunnelKind};
use plane_user::{Frame, Memory, Outcome};

use crate::common::{Do, IFINDEX, add_service, director, key};
use crate::packets::{lan, serve};

const WEB: &str = "TCP 10.0.0.1:80";
const CUT_INTO: u32 = 70;
const CUT_FROM: u32 = 71;
/// Bytes before the payload of the outer IPv4 packet: Ethernet's header and its own.
const OUTER: usize = 14 + 20;

/// A director with a real server behind a GUE tunnel.
fn tunnelling(checksum: TunnelChecksum) -> Director<Memory> {
    let mut lan = lan();
    lan.local.insert("192.168.0.254".parse().unwrap());
    let mut director = director();
    director.must_in(&lan, add_service(WEB, "rr"));
    let destination = Destination {
        tunnel: Tunnel {
            kind: TunnelKind::Gue,
            port: 6080,
            checksum,
        },
        ..Destination::new("192.168.0.1:80".parse().unwrap(), Forwarding::Tunnel)
    };
    let service = key(WEB);
    director.must_in(
        &lan,
        Command::AddDestination {
            service,
            destination,
        },
    );
    serve(&mut director, &lan);
    director
}

fn segment(flags: impl Fn(&mut etherparse::TcpHeader), payload: &[u8]) -> Vec<u8> {
    let mut header = etherparse::TcpHeader::new(4000, 80, 1, 1000);
    flags(&mut header);
    let packet = PacketBuilder::ethernet2([9; 6], [2, 0, 0, 0, 0, 1])
        .ipv4([198, 51, 100, 7], [10, 0, 0, 1], 64)
        .tcp_header(header);
    let mut frame = Vec::new();
    packet.write(&mut frame, payload).unwrap();
    frame
}

fn came_in(director: &Director<Memory>, ifindex: u32, bytes: &[u8], segment_size: u32) -> Outcome {
    let mut frame = Frame::<true>::new(director.plane(), ifindex, bytes);
    frame.segment_size = segment_size;
    frame.process()
}

/// A segment that comes as a part of a larger packet, and one that comes alone; a connection is open.
fn sent(director: &Director<Memory>, segment_size: u32) -> Outcome {
    let syn = segment(|header| header.syn = true, &[]);
    let opened = came_in(director, IFINDEX, &syn, 0);
    assert_eq!(opened.verdict.reason(), Reason::Tunnelled);
    let data = segment(|header| header.ack = true, &[0x5a; 401]);
    came_in(director, IFINDEX, &data, segment_size)
}

#[test]
fn it_is_cut_first_and_each_piece_gets_what_a_packet_of_its_own_would() {
    for checksum in [TunnelChecksum::Full, TunnelChecksum::Remote] {
        let director = tunnelling(checksum);
        let globals = director.plane().view().globals;
        globals.cut_into.store(CUT_INTO);
        globals.cut_from.store(CUT_FROM);
        let whole = sent(&director, 1000);
        assert_eq!(whole.verdict.reason(), Reason::CutUp);
        assert_eq!(whole.verdict.action(), Action::Send);
        assert_eq!(whole.exit.ifindex, CUT_INTO);
        // What came is as small as a piece of it.
        let piece = came_in(&director, CUT_FROM, &whole.bytes, 0);
        assert_eq!(piece.verdict.reason(), Reason::Tunnelled);
        let alone = sent(&director, 0);
        assert_eq!(alone.verdict.reason(), Reason::Tunnelled);
        assert_eq!(piece.bytes[OUTER..], alone.bytes[OUTER..]);
        assert_eq!(piece.exit, alone.exit);
    }
}

#[test]
fn the_outer_checksum_is_that_of_the_piece() {
    let director = tunnelling(TunnelChecksum::Full);
    let globals = director.plane().view().globals;
    globals.cut_into.store(CUT_INTO);
    globals.cut_from.store(CUT_FROM);
    let whole = sent(&director, 1000);
    let piece = came_in(&director, CUT_FROM, &whole.bytes, 0);
    let outer = Ipv4Slice::from_slice(&piece.bytes[14..]).unwrap();
    let udp = UdpSlice::from_slice(outer.payload().payload).unwrap();
    let expected = udp
        .to_header()
        .calc_checksum_ipv4(&outer.header().to_header(), udp.payload());
    assert_eq!(udp.checksum(), expected.unwrap());
}

#[test]
fn where_nothing_cuts_it_is_dropped_and_never_sent_wrong() {
    let director = tunnelling(TunnelChecksum::Full);
    let outcome = sent(&director, 1000);
    assert_eq!(outcome.verdict.reason(), Reason::TunnelChecksum);
    assert_eq!(outcome.verdict.action(), Action::Drop);
}

#[test]
fn without_a_checksum_nothing_is_cut() {
    let director = tunnelling(TunnelChecksum::None);
    director.plane().view().globals.cut_into.store(CUT_INTO);
    let outcome = sent(&director, 1000);
    assert_eq!(outcome.verdict.reason(), Reason::Tunnelled);
}

#[test]
fn a_frame_to_another_machine_is_no_piece_wherever_it_comes_from() {
    let director = tunnelling(TunnelChecksum::Full);
    let globals = director.plane().view().globals;
    globals.cut_into.store(CUT_INTO);
    globals.cut_from.store(CUT_FROM);
    let whole = sent(&director, 1000).bytes;
    let mut foreign = whole.clone();
    foreign[..6].copy_from_slice(&[2, 9, 9, 9, 9, 9]);
    for (ifindex, frame) in [(IFINDEX, &whole), (CUT_FROM, &foreign)] {
        let outcome = came_in(&director, ifindex, frame, 0);
        assert_eq!(outcome.verdict.reason(), Reason::NotForThisHost);
    }
}
