//! `bfd_instance`.

use super::Shape::{Address, Flag, Integer, Milliseconds, Words};
use super::{Block, keyword};

/// What fits the protocol's 32 bits of microseconds.
const LONGEST: f64 = 4_294_967.0;

pub(super) static BFD: Block = Block {
    name: "bfd_instance",
    takes_names: false,
    keywords: &[
        keyword("neighbor_ip", Address).also(&["neighbour_ip"]),
        keyword("source_ip", Address),
        keyword("min_rx", Milliseconds(1.0, LONGEST)),
        keyword("min_tx", Milliseconds(1.0, LONGEST)),
        // RFC 5880, section 6.8.3: a second at least.
        keyword("idle_tx", Milliseconds(1000.0, LONGEST)),
        keyword("multiplier", Integer(1, 255)),
        keyword("passive", Flag),
        keyword("ttl", Integer(1, 255)),
        keyword("hoplimit", Integer(1, 255)),
        keyword("max_hops", Integer(0, 255)),
        keyword("multihop", Flag),
        keyword("weight", Words(1, 2)),
        keyword("vrrp", Flag),
        keyword("checker", Flag),
    ],
};
