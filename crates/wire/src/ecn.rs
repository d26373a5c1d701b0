//! Explicit congestion notification in tunnels (RFC 3168, section 9.1.1).
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

#[cfg(test)]
mod tests {
    use super::*;

    /// What the kernel's director sent, captured: (inner, outer).
    const CAPTURED: [(u8, u8); 4] = [(0x00, 0x00), (0x01, 0x01), (0x02, 0x02), (0xbb, 0xba)];

    #[test]
    fn dscp_is_copied_and_congestion_becomes_capable() {
        for (inner, outer) in CAPTURED {
            assert_eq!(encapsulated_tos(inner), outer, "{inner:#04x}");
        }
    }
}
