//! GRE's header, as [`wire::gre`] draws it.

use wire::{ethernet, gre};

use crate::outer::Outer;
use crate::{Checksum, Family, Host, Outcome, Tunnel};

/// Reads what stands between the outer IP header and the packet inside.
#[inline(always)]
pub(crate) fn read<H: Host>(host: &H, outer: &Outer) -> Result<Tunnel, Outcome> {
    outer.is_whole()?;
    let bytes: [u8; 4] = host.bytes(outer.header).ok_or(Outcome::Malformed)?;
    let flags = u16::from_be_bytes([bytes[0], bytes[1]]);
    // Keys and sequence numbers belong to tunnels that somebody has set up; IPVS sends neither.
    if flags & !gre::CHECKSUM != 0 {
        return Err(Outcome::Unsupported);
    }
    let family = match u16::from_be_bytes([bytes[2], bytes[3]]) {
        ethernet::IPV4 => Family::Ipv4,
        ethernet::IPV6 => Family::Ipv6,
        _ => return Err(Outcome::Unsupported),
    };
    let checksum = (flags & gre::CHECKSUM != 0).then_some(Checksum {
        start: outer.header,
        pseudo: 0,
        field: None,
    });
    Ok(Tunnel {
        kind: Outcome::Gre,
        inner: outer.header + gre::length(flags),
        family,
        checksum,
        remote: None,
    })
}
