//! ICMPv6 messages (RFC 4443): type, code, checksum, four bytes by type, then an error's packet
//! complained of. The checksum covers a pseudo-header too, unlike that of ICMP:
//! [`pseudo_header_sum`].

pub use crate::ipv6::pseudo_header_sum;

/// Bytes before the embedded packet.
pub const HEADER: u32 = 8;
/// Where the checksum stands.
pub const CHECKSUM_OFFSET: u32 = 2;
/// Where the MTU of [`PACKET_TOO_BIG`] stands: four bytes.
pub const MTU_OFFSET: u32 = 4;

/// Type: destination unreachable.
pub const DESTINATION_UNREACHABLE: u8 = 1;
/// Type: packet too big; carries the MTU.
pub const PACKET_TOO_BIG: u8 = 2;
/// Type: time exceeded.
pub const TIME_EXCEEDED: u8 = 3;
/// Type: parameter problem.
pub const PARAMETER_PROBLEM: u8 = 4;
/// Type: echo request.
pub const ECHO_REQUEST: u8 = 128;
/// Type: echo reply.
pub const ECHO_REPLY: u8 = 129;

/// Code of [`DESTINATION_UNREACHABLE`]: no route.
pub const NO_ROUTE: u8 = 0;
/// Code of [`DESTINATION_UNREACHABLE`]: the host does not answer.
pub const ADDRESS: u8 = 3;
/// Code of [`DESTINATION_UNREACHABLE`]: nobody serves the port.
pub const PORT: u8 = 4;
/// Code of [`TIME_EXCEEDED`]: the hop limit ran out.
pub const HOP_LIMIT: u8 = 0;

/// Neighbour discovery (RFC 4861): router solicitation.
pub const ROUTER_SOLICITATION: u8 = 133;
/// Neighbour discovery: router advertisement.
pub const ROUTER_ADVERTISEMENT: u8 = 134;
/// Neighbour discovery: neighbour solicitation.
pub const NEIGHBOUR_SOLICITATION: u8 = 135;
/// Neighbour discovery: neighbour advertisement.
pub const NEIGHBOUR_ADVERTISEMENT: u8 = 136;
/// Neighbour discovery: redirect.
pub const REDIRECT: u8 = 137;

/// Most bytes of an error with its IPv6 header (RFC 4443, section 2.4 (c)).
pub const MAX_ERROR: u32 = 1280;

/// Whether a message is an error about another packet: one of the four that RFC 4443 defines.
#[inline(always)]
pub const fn is_error(kind: u8) -> bool {
    matches!(
        kind,
        DESTINATION_UNREACHABLE | PACKET_TOO_BIG | TIME_EXCEEDED | PARAMETER_PROBLEM
    )
}

/// Whether a message is of neighbour discovery: about the link, never for a service.
#[inline(always)]
pub const fn is_neighbour_discovery(kind: u8) -> bool {
    matches!(kind, ROUTER_SOLICITATION..=REDIRECT)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{checksum, ipv6};

    /// An error captured from Linux: port unreachable, from 2001:db8::1 to 2001:db8:1::99.
    #[rustfmt::skip]
    const PORT_UNREACHABLE: [u8; 101] = [
        0x60, 0x0e, 0x56, 0xcf, 0x00, 0x3d, 0x3a, 0x40,
        0x20, 0x01, 0x0d, 0xb8, 0x00, 0x00, 0x00, 0x00, 0, 0, 0, 0, 0x00, 0x00, 0x00, 0x01,
        0x20, 0x01, 0x0d, 0xb8, 0x00, 0x01, 0x00, 0x00, 0, 0, 0, 0, 0x00, 0x00, 0x00, 0x99,
        0x01, 0x04, 0x7c, 0x43, 0x00, 0x00, 0x00, 0x00,
        0x62, 0xec, 0xa6, 0x39, 0x00, 0x0d, 0x11, 0x40,
        0x20, 0x01, 0x0d, 0xb8, 0x00, 0x01, 0x00, 0x00, 0, 0, 0, 0, 0x00, 0x00, 0x00, 0x99,
        0x20, 0x01, 0x0d, 0xb8, 0x00, 0x00, 0x00, 0x00, 0, 0, 0, 0, 0x00, 0x00, 0x00, 0x01,
        0x0f, 0xa0, 0x00, 0x09, 0x00, 0x0d, 0x5c, 0x2b, 0x68, 0x65, 0x6c, 0x6c, 0x6f,
    ];

    #[test]
    fn an_error_captured_from_linux_verifies_with_its_pseudo_header() {
        let header = ipv6::Header::from_bytes(PORT_UNREACHABLE[..40].try_into().unwrap());
        let message = &PORT_UNREACHABLE[40..];
        assert_eq!(header.next_header(), ipv6::ICMPV6);
        assert_eq!((message[0], message[1]), (DESTINATION_UNREACHABLE, PORT));
        let pseudo = pseudo_header_sum(
            header.source(),
            header.destination(),
            header.payload_length(),
            ipv6::ICMPV6,
        );
        let bytes = u32::from(!checksum::of(message));
        assert_eq!(checksum::fold(pseudo + bytes), 0xffff);
    }

    #[test]
    fn only_the_errors_of_rfc_4443_are_errors() {
        let errors = (0..=255).filter(|kind| is_error(*kind));
        assert!(errors.eq(1..=4));
    }

    #[test]
    fn neighbour_discovery_is_the_five_messages_of_rfc_4861() {
        let messages = (0..=255).filter(|kind| is_neighbour_discovery(*kind));
        assert!(messages.eq(133..=137));
    }
}
