//! UDP's and GUE's headers, as [`wire::gue`] draws them.

use wire::{gue, ipv4, ipv6, udp};

use crate::outer::Outer;
use crate::{Checksum, Family, Host, Outcome, Remote, Tunnel};

/// Flag: private flags follow.
const PRIVATE: u16 = 0x0001;
/// Private flag: remote checksum offload.
const REMOTE_CHECKSUM: u32 = 0x8000_0000;

/// Reads what stands between the outer IP header and the packet inside, if it is for this `port`.
#[inline(always)]
pub(crate) fn read<H: Host>(host: &H, outer: &Outer, port: u16) -> Result<Tunnel, Outcome> {
    if outer.is_later_fragment {
        return Err(Outcome::Other);
    }
    let bytes: [u8; 8] = host.bytes(outer.header).ok_or(Outcome::Other)?;
    if u16::from_be_bytes([bytes[2], bytes[3]]) != port {
        return Err(Outcome::Other);
    }
    outer.is_whole()?;
    let length = u32::from(u16::from_be_bytes([bytes[4], bytes[5]]));
    let there = outer.end - outer.header;
    let is_long_enough = length >= udp::HEADER + gue::HEADER && length <= there;
    if !is_long_enough && !host.is_joined() {
        return Err(Outcome::Malformed);
    }
    let field = u16::from_ne_bytes([bytes[6], bytes[7]]);
    let pseudo = match outer.family {
        Family::Ipv4 => {
            let (from, to) = (outer.source[3], outer.destination[3]);
            ipv4::pseudo_header_sum(from, to, length as u16, ipv4::UDP)
        }
        Family::Ipv6 => ipv6::pseudo_header_sum(outer.source, outer.destination, length, ipv4::UDP),
    };
    let checksum = (field != 0).then_some(Checksum {
        start: outer.header,
        pseudo,
        field: Some(field),
    });
    let mut tunnel = read_gue(host, outer.header + udp::HEADER)?;
    tunnel.checksum = checksum;
    Ok(tunnel)
}

/// Reads GUE's own header.
#[inline(always)]
fn read_gue<H: Host>(host: &H, offset: u32) -> Result<Tunnel, Outcome> {
    let bytes: [u8; 4] = host.bytes(offset).ok_or(Outcome::Malformed)?;
    let length = gue::length(bytes[0]);
    let flags = u16::from_be_bytes([bytes[2], bytes[3]]);
    if length == 0 || flags & !PRIVATE != 0 {
        return Err(Outcome::Unsupported);
    }
    let family = match bytes[1] {
        gue::IPV4 => Family::Ipv4,
        gue::IPV6 => Family::Ipv6,
        _ => return Err(Outcome::Unsupported),
    };
    let remote = if flags & PRIVATE == 0 {
        None
    } else {
        read_private(host, offset + gue::HEADER, length)?
    };
    Ok(Tunnel {
        kind: Outcome::Gue,
        inner: offset + length,
        family,
        checksum: None,
        remote,
    })
}

/// Reads the private flags, and what remote checksum offload says.
#[inline(always)]
fn read_private<H: Host>(host: &H, offset: u32, length: u32) -> Result<Option<Remote>, Outcome> {
    if length < gue::HEADER_WITH_REMOTE_CHECKSUM {
        return Err(Outcome::Malformed);
    }
    let bytes: [u8; 8] = host.bytes(offset).ok_or(Outcome::Malformed)?;
    if u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]) != REMOTE_CHECKSUM {
        return Err(Outcome::Unsupported);
    }
    Ok(Some(Remote {
        start: u32::from(u16::from_be_bytes([bytes[4], bytes[5]])),
        field: u32::from(u16::from_be_bytes([bytes[6], bytes[7]])),
    }))
}
