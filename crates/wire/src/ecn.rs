//! Explicit congestion notification in tunnels (RFC 3168, section 9.1.1; RFC 6040).
//!
//! The two low bits of the TOS or traffic class: 00 not capable, 01 ECT(1), 10 ECT(0), 11
//! congestion experienced. The six above them are the DSCP.

/// The bits of ECN.
pub const MASK: u8 = 3;
/// Capable, as most senders mark it.
pub const CAPABLE_0: u8 = 2;
/// Capable, the other mark.
pub const CAPABLE_1: u8 = 1;
/// A router on the way is congested.
pub const CONGESTION_EXPERIENCED: u8 = 3;

/// The TOS or traffic class of the outer header for a packet with that `inner` one: the same,
/// but congestion that was met before the tunnel is not reported as met in it. That is RFC 3168's
/// full-functionality option, which IPVS uses for every tunnel; RFC 6040, section 4.1, would copy
/// the mark.
#[inline(always)]
pub const fn encapsulated_tos(inner: u8) -> u8 {
    if inner & MASK == CONGESTION_EXPERIENCED {
        inner & !MASK | CAPABLE_0
    } else {
        inner
    }
}

/// The TOS or traffic class of a packet that leaves a tunnel, from the `outer` header's and its own
/// `inner` one (RFC 6040, section 4.2): marks that were set in the tunnel are kept. None: congestion
/// was met, and the packet cannot carry the mark, so that it must be dropped for its sender to notice.
#[inline(always)]
pub const fn decapsulated(outer: u8, inner: u8) -> Option<u8> {
    match (outer & MASK, inner & MASK) {
        (CONGESTION_EXPERIENCED, 0) => None,
        (CONGESTION_EXPERIENCED, _) => Some(inner | CONGESTION_EXPERIENCED),
        (CAPABLE_1, CAPABLE_0) => Some(inner & !MASK | CAPABLE_1),
        _ => Some(inner),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 6040, figure 4: the outgoing mark by the inner header's (row) and the outer's (column), each
    /// in the order not capable, ECT(0), ECT(1), CE.
    const FIGURE_4: [[Option<u8>; 4]; 4] = [
        [Some(0), Some(0), Some(0), None],
        [Some(2), Some(2), Some(1), Some(3)],
        [Some(1), Some(1), Some(1), Some(3)],
        [Some(3), Some(3), Some(3), Some(3)],
    ];

    #[test]
    fn what_leaves_a_tunnel_is_marked_as_rfc_6040_has_it() {
        const MARKS: [u8; 4] = [0, CAPABLE_0, CAPABLE_1, CONGESTION_EXPERIENCED];
        for (row, inner) in FIGURE_4.iter().zip(MARKS) {
            for (expected, outer) in row.iter().zip(MARKS) {
                let (dscp, other) = (0xb8, 0x48);
                let out = decapsulated(other | outer, dscp | inner);
                assert_eq!(out, expected.map(|mark| dscp | mark), "{inner} {outer}");
            }
        }
    }

    /// What the kernel's director sent, captured: (inner, outer).
    const CAPTURED: [(u8, u8); 4] = [(0x00, 0x00), (0x01, 0x01), (0x02, 0x02), (0xbb, 0xba)];

    #[test]
    fn dscp_is_copied_and_congestion_becomes_capable() {
        for (inner, outer) in CAPTURED {
            assert_eq!(encapsulated_tos(inner), outer, "{inner:#04x}");
        }
    }
}
