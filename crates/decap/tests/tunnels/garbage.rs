//! No input does harm.

use decap::{Fate, Settings};
use proptest::prelude::*;

use crate::captured::from_director;
use crate::memory::Memory;

/// A captured packet with some bytes changed, and cut somewhere.
fn damaged() -> impl Strategy<Value = Vec<u8>> {
    let names = ["ipip", "gre-csum", "gue-csum", "gue"];
    let changes = prop::collection::vec((0..60_usize, any::<u8>()), 0..4);
    (0..names.len(), changes, 0..120_usize).prop_map(move |(name, changes, length)| {
        let mut packet = from_director(names[name]).remove(0);
        for (at, byte) in changes {
            packet[at] = byte;
        }
        packet.truncate(length);
        packet
    })
}

proptest! {
    #[test]
    fn whatever_comes_is_taken_out_left_or_dropped(
        packet in prop_oneof![damaged(), prop::collection::vec(any::<u8>(), 0..200)],
        is_joined: bool,
    ) {
        let mut host = Memory::new(packet.clone(), "172.16.10.23", "172.16.10.21");
        host.own.push("172.16.10.39".parse().unwrap());
        host.settings = Settings { ipip: true, gre: true, gue_port: 6080 };
        host.is_joined = is_joined;
        let outcome = host.decapsulate();
        if outcome.fate() == Fate::Left {
            prop_assert_eq!(host.packet, packet);
        }
    }
}
