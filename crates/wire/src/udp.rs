//! The UDP header (RFC 768): source port, destination port, length, checksum; two bytes each.

/// Bytes of the header.
pub const HEADER: u32 = 8;
/// Where the checksum stands. 0 means that there is none.
pub const CHECKSUM_OFFSET: u32 = 6;
