//! The packet inside.

use wire::{Delta, ipv4, ipv6};

use crate::outer::Outer;
use crate::{Address, Family, Host, Outcome, Tunnel, mapped};

/// Where TCP's and UDP's checksums stand in their headers.
const TCP_CHECKSUM: u32 = 16;
const UDP_CHECKSUM: u32 = 6;

/// The inner IP header.
#[derive(Clone, Copy)]
pub(crate) struct Inner {
    pub family: Family,
    pub destination: Address,
    /// TOS or traffic class.
    pub tos: u8,
    /// Where it begins, and where it ends.
    pub start: u32,
    pub end: u32,
    source: Address,
    /// What follows the header at once, and where; 0 in pieces of packets.
    protocol: u8,
    transport: u32,
    /// The header's first two bytes, with the TOS or the traffic class among them.
    first: [u8; 2],
}

impl Inner {
    /// Reads it. What it says of itself must agree with the tunnel and with the packet's length.
    #[inline(always)]
    pub fn read<H: Host>(host: &H, outer: &Outer, tunnel: &Tunnel) -> Result<Self, Outcome> {
        let read = match tunnel.family {
            Family::Ipv4 => Self::read_v4(host, tunnel.inner),
            Family::Ipv6 => Self::read_v6(host, tunnel.inner),
        };
        let mut inner = read.ok_or(Outcome::Malformed)?;
        if host.is_joined() {
            inner.end = outer.end;
        }
        if inner.end < inner.transport || inner.end > outer.end {
            return Err(Outcome::Malformed);
        }
        Ok(inner)
    }

    #[inline(always)]
    fn read_v4<H: Host>(host: &H, start: u32) -> Option<Self> {
        let bytes = host.bytes(start)?;
        let header = ipv4::Header::from_bytes(bytes);
        let length = header.header_length();
        if header.version() != 4 || length < ipv4::HEADER {
            return None;
        }
        let protocol = if header.is_fragment() {
            0
        } else {
            header.protocol()
        };
        Some(Self {
            family: Family::Ipv4,
            destination: mapped(header.destination()),
            tos: header.tos(),
            start,
            end: start + header.total_length(),
            source: mapped(header.source()),
            protocol,
            transport: start + length,
            first: [bytes[0], bytes[1]],
        })
    }

    #[inline(always)]
    fn read_v6<H: Host>(host: &H, start: u32) -> Option<Self> {
        let bytes = host.bytes(start)?;
        let header = ipv6::Header::from_bytes(bytes);
        if header.version() != 6 {
            return None;
        }
        Some(Self {
            family: Family::Ipv6,
            destination: header.destination(),
            tos: header.traffic_class(),
            start,
            end: start + ipv6::HEADER + header.payload_length(),
            source: header.source(),
            protocol: header.next_header(),
            transport: start + ipv6::HEADER,
            first: [bytes[0], bytes[1]],
        })
    }

    /// Changes the TOS or traffic class, if it is another.
    #[inline(always)]
    pub fn set_tos<H: Host>(&self, host: &mut H, tos: u8) -> Option<()> {
        if tos == self.tos {
            return Some(());
        }
        let [first, second] = self.first;
        if self.family == Family::Ipv6 {
            let bytes = [first & 0xf0 | tos >> 4, second & 0x0f | tos << 4];
            return host.set_bytes(self.start, &bytes);
        }
        let checksum = u16::from_ne_bytes(host.bytes(self.start + 10)?);
        let old = u16::from_ne_bytes(self.first);
        let new = u16::from_ne_bytes([first, tos]);
        let checksum = Delta::of_u16(old, new).apply(checksum);
        host.set_bytes(self.start + 10, &checksum.to_ne_bytes())?;
        host.set_bytes(self.start, &[first, tos])
    }

    /// Where the transport header begins, and the sum of its pseudo-header, if its checksum was left
    /// open for a network device: then its field holds that sum.
    #[inline(always)]
    pub fn open_transport<H: Host>(&self, host: &H) -> Option<(u32, u32)> {
        let field = match self.protocol {
            ipv4::TCP => TCP_CHECKSUM,
            ipv4::UDP => UDP_CHECKSUM,
            _ => return None,
        };
        let length = self.end - self.transport;
        let pseudo = match self.family {
            Family::Ipv4 => {
                let (from, to) = (self.source[3], self.destination[3]);
                ipv4::pseudo_header_sum(from, to, length as u16, self.protocol)
            }
            Family::Ipv6 => {
                ipv6::pseudo_header_sum(self.source, self.destination, length, self.protocol)
            }
        };
        let field = u16::from_ne_bytes(host.bytes(self.transport + field)?);
        (field == wire::checksum::fold(pseudo)).then_some((self.transport, pseudo))
    }
}
