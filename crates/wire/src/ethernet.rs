//! Ethernet frames and their VLAN tags (IEEE 802.3, 802.1Q).
//!
//! ```text
//! | destination (6) | source (6) | type (2) | payload
//! | destination (6) | source (6) | 8100 or 88a8 (2) | tag (2) | type (2) | payload
//! ```

/// Bytes of the untagged header.
pub const HEADER: u32 = 14;
/// Bytes of one VLAN tag.
pub const TAG: u32 = 4;
/// Where the type stands.
pub const TYPE_OFFSET: u32 = 12;

/// Type: IPv4.
pub const IPV4: u16 = 0x0800;
/// Type: IPv6.
pub const IPV6: u16 = 0x86dd;
/// Type: a VLAN tag (802.1Q).
pub const VLAN: u16 = 0x8100;
/// Type: a service provider's VLAN tag (802.1ad).
pub const SERVICE_VLAN: u16 = 0x88a8;
/// The VLAN identifier within a tag; the rest is priority.
pub const VLAN_ID: u16 = 0x0fff;

/// Whether a type announces a VLAN tag.
#[inline(always)]
pub const fn is_tag(kind: u16) -> bool {
    kind == VLAN || kind == SERVICE_VLAN
}
