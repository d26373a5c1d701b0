//! The PROXY protocol's header, version 2 (haproxy's `proxy-protocol.txt`, section 2.2): what a
//! stream begins with that a proxy sends on.
//!
//! ```text
//! | signature (12) | version and command (1) | family and transport (1) | bytes that follow (2)
//! | client's address | its destination's address | client's port (2) | its destination's port (2)
//! ```

/// Bytes up to the addresses.
pub const HEAD: u32 = 16;
/// Bytes of the header of a connection over IPv4.
pub const V4: u32 = HEAD + 2 * 4 + 2 * 2;
/// Bytes of the header of a connection over IPv6.
pub const V6: u32 = HEAD + 2 * 16 + 2 * 2;

const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";
/// Version 2, and the command PROXY: the connection is somebody else's.
const VERSION_AND_COMMAND: u8 = 0x21;
/// A stream over IPv4.
const TCP_V4: u8 = 0x11;
/// A stream over IPv6.
const TCP_V6: u8 = 0x21;

/// The header of a TCP connection up to its addresses.
#[inline(always)]
pub const fn head(is_v6: bool) -> [u8; HEAD as usize] {
    let (kind, length) = if is_v6 {
        (TCP_V6, V6 - HEAD)
    } else {
        (TCP_V4, V4 - HEAD)
    };
    let s = SIGNATURE;
    [
        s[0],
        s[1],
        s[2],
        s[3],
        s[4],
        s[5],
        s[6],
        s[7],
        s[8],
        s[9],
        s[10],
        s[11],
        VERSION_AND_COMMAND,
        kind,
        0,
        length as u8,
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The signature and numbers as the specification writes them.
    #[test]
    fn heads_are_those_of_the_specification() {
        let signature = [
            0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a,
        ];
        for (is_v6, rest, whole) in [
            (false, [0x21, 0x11, 0, 12], V4),
            (true, [0x21, 0x21, 0, 36], V6),
        ] {
            assert_eq!(head(is_v6)[..12], signature);
            assert_eq!(head(is_v6)[12..], rest);
            assert_eq!(whole, HEAD + rest[3] as u32);
        }
    }
}
