//! Packets byte by byte, after RFC 5880, section 4.1 and section 6.8.6.

use bfd::{Diagnostic, Packet, Refusal, State};

/// Version 1, diagnostic 3; Up with Poll; multiplier 3; 24 bytes; ours 1, theirs 0x0a0b0c0d; 300 ms,
/// 50 ms, no echo: laid out by hand after the diagram.
const UP: [u8; 24] = [
    0x23, 0xe0, 3, 24, 0, 0, 0, 1, 0x0a, 0x0b, 0x0c, 0x0d, 0, 0x04, 0x93, 0xe0, 0, 0, 0xc3, 0x50,
    0, 0, 0, 0,
];

fn parsed() -> Packet {
    Packet {
        diagnostic: Diagnostic::SIGNALED,
        state: State::Up,
        poll: true,
        is_final: false,
        demand: false,
        detect_multiplier: 3,
        my_discriminator: 1,
        your_discriminator: 0x0a0b_0c0d,
        desired_min_tx: 300_000,
        required_min_rx: 50_000,
    }
}

fn with(change: impl FnOnce(&mut [u8; 24])) -> Result<Packet, Refusal> {
    let mut bytes = UP;
    change(&mut bytes);
    Packet::parse(&bytes)
}

#[test]
fn a_packet_is_read_and_written_as_the_standard_draws_it() {
    assert_eq!(Packet::parse(&UP), Ok(parsed()));
    assert_eq!(parsed().encode(), UP);
}

#[test]
fn every_state_and_flag_has_its_bits() {
    let flags = |byte: u8| with(|bytes| bytes[1] = byte).expect("it is valid");
    assert_eq!(flags(0x00).state, State::AdminDown);
    assert_eq!(flags(0x40).state, State::Down);
    assert_eq!(flags(0x80).state, State::Init);
    assert!(flags(0xd0).is_final && !flags(0xd0).poll);
    assert!(flags(0xc2).demand);
    // The control plane independent bit says nothing to us.
    assert_eq!(flags(0xc8).state, State::Up);
}

#[test]
fn what_the_standard_wants_discarded_is_refused_with_the_reason() {
    assert_eq!(Packet::parse(&UP[..23]), Err(Refusal::Short));
    assert_eq!(with(|bytes| bytes[0] = 0x40), Err(Refusal::Version(2)));
    assert_eq!(with(|bytes| bytes[3] = 23), Err(Refusal::Length(23)));
    assert_eq!(with(|bytes| bytes[3] = 25), Err(Refusal::Length(25)));
    // With authentication there must be room for it, and then nobody has a key.
    assert_eq!(with(|bytes| bytes[1] |= 4), Err(Refusal::Length(24)));
    let mut authenticated = UP.to_vec();
    authenticated.extend([0; 28]);
    authenticated[1] |= 4;
    authenticated[3] = 52;
    assert_eq!(Packet::parse(&authenticated), Err(Refusal::Authenticated));
    assert_eq!(with(|bytes| bytes[2] = 0), Err(Refusal::Multiplier));
    assert_eq!(with(|bytes| bytes[1] |= 1), Err(Refusal::Multipoint));
    assert_eq!(with(|bytes| bytes[7] = 0), Err(Refusal::Discriminator));
    let nobody = |bytes: &mut [u8; 24]| bytes[8..12].fill(0);
    assert_eq!(with(nobody), Err(Refusal::Unasked(State::Up)));
    let down = with(|bytes| {
        nobody(bytes);
        bytes[1] = 0x40;
    });
    assert_eq!(down.map(|packet| packet.state), Ok(State::Down));
}

#[test]
fn what_follows_the_packet_in_its_datagram_is_not_read() {
    let mut longer = UP.to_vec();
    longer.extend([0xff; 8]);
    assert_eq!(Packet::parse(&longer), Ok(parsed()));
}

proptest::proptest! {
    #[test]
    fn no_bytes_make_the_reader_panic(bytes in proptest::collection::vec(0u8.., 0..60)) {
        if let Ok(packet) = Packet::parse(&bytes) {
            proptest::prop_assert_eq!(Packet::parse(&packet.encode()), Ok(packet));
        }
    }
}
