//! The TCP header (RFC 9293, section 3.1), as far as forwarding needs it.
//!
//! ```text
//! | source port (2) | destination port (2) | sequence (4) | acknowledgement (4)
//! | data offset, reserved (1) | flags (1) | window (2) | checksum (2) | urgent (2)
//! ```

/// Bytes of the header without options.
pub const HEADER: u32 = 20;
/// Bytes of the largest header.
pub const MAX_HEADER: u32 = 60;
/// Where the sequence number stands.
pub const SEQUENCE_OFFSET: u32 = 4;
/// Where the acknowledgement number stands.
pub const ACKNOWLEDGEMENT_OFFSET: u32 = 8;
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
/// Flag: the receiver is to be given the data at once.
pub const PSH: u8 = 8;
/// Flag: the acknowledgement counts.
pub const ACK: u8 = 16;

/// Option: end of the list.
pub const END: u8 = 0;
/// Option: nothing.
pub const NOTHING: u8 = 1;
/// Option: selective acknowledgement (RFC 2018): pairs of sequence numbers behind kind and length.
pub const SACK: u8 = 5;
/// Option: timestamps (RFC 7323), of ten bytes.
pub const TIMESTAMPS: u8 = 8;

/// The option that tells a client's address and port, as LVS and DPVS have it (TOA): kind, length,
/// port, address. Its kind is one for experiments (RFC 4727).
pub mod client_address {
    /// Its kind, whatever the address family.
    pub const KIND: u8 = 254;
    /// Its length with an IPv4 address.
    pub const V4: u8 = 8;
    /// Its length with an IPv6 address.
    pub const V6: u8 = 20;
}
