//! ICMP errors (RFC 792): type, code, checksum, four bytes by type, then the packet complained of.

/// Bytes before the embedded packet.
pub const HEADER: u32 = 8;
/// Where the checksum stands.
pub const CHECKSUM_OFFSET: u32 = 2;

/// Type: destination unreachable.
pub const UNREACHABLE: u8 = 3;
/// Type: source quench (deprecated by RFC 6633, still relayed).
pub const SOURCE_QUENCH: u8 = 4;
/// Type: time exceeded.
pub const TIME_EXCEEDED: u8 = 11;

/// Code of [`UNREACHABLE`]: the host does not answer.
pub const HOST: u8 = 1;
/// Code of [`UNREACHABLE`]: nobody serves the port.
pub const PORT: u8 = 3;
/// Code of [`UNREACHABLE`]: too big, and must not be fragmented; carries the MTU (RFC 1191).
pub const FRAGMENTATION_NEEDED: u8 = 4;

/// Most bytes of an error with its IP header (RFC 1812, section 4.3.2.3).
pub const MAX_ERROR: u32 = 576;

/// Whether a message is an error about another packet.
#[inline(always)]
pub const fn is_error(kind: u8) -> bool {
    matches!(kind, UNREACHABLE | SOURCE_QUENCH | TIME_EXCEEDED)
}
