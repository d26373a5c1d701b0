//! The TCP header (RFC 9293, section 3.1), as far as forwarding needs it.
//!
//! ```text
//! | source port (2) | destination port (2) | sequence (4) | acknowledgement (4)
//! | data offset, reserved (1) | flags (1) | window (2) | checksum (2) | urgent (2)
//! ```

/// Bytes of the header without options.
pub const HEADER: u32 = 20;
/// Where the checksum stands.
pub const CHECKSUM_OFFSET: u32 = 16;
/// Where the byte with the header's length stands; the flags follow.
pub const LENGTH_OFFSET: u32 = 12;

/// Flag: no more data from the sender.
pub const FIN: u8 = 1;
/// Flag: synchronise sequence numbers.
pub const SYN: u8 = 2;
/// Flag: reset the connection.
pub const RST: u8 = 4;
/// Flag: the acknowledgement counts.
pub const ACK: u8 = 16;
