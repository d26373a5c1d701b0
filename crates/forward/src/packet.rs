//! From bytes to a packet with addresses and ports.

use abi::Reason;
use wire::{ethernet, ipv4, tcp};

use crate::Host;
use crate::verdict::Step;

/// Where things are in a frame, and its IPv4 header.
#[derive(Clone, Copy)]
pub(crate) struct Packet {
    /// VLAN identifier, 0 for none.
    pub vlan: u16,
    /// Whether the tag is in the frame rather than beside it.
    pub tag_in_frame: bool,
    /// Offset of the IP header.
    pub l3: u32,
    /// Offset of what follows it.
    pub l4: u32,
    /// The IP header.
    pub ip: ipv4::Header,
    /// Bytes from the IP header to the packet's end.
    pub length: u32,
    /// Largest packet that the way out carries, once there is one.
    pub mtu: u32,
}

/// The ports of a TCP segment or a UDP datagram, in network order, and TCP's flags.
#[derive(Clone, Copy)]
pub(crate) struct Ports {
    pub source: u16,
    pub destination: u16,
    pub flags: u8,
}

/// Reads the frame up to the IP header. Says nothing yet about the header's sense: see
/// [`Packet::check`].
#[inline(always)]
pub(crate) fn parse<'t, H: Host<'t>>(host: &mut H) -> Step<Packet> {
    let frame: [u8; 14] = host.bytes(0).ok_or(Reason::TruncatedHeader)?;
    let mac = [frame[0], frame[1], frame[2], frame[3], frame[4], frame[5]];
    let mut kind = u16::from_be_bytes([frame[12], frame[13]]);
    let mut vlan = host.vlan_beside();
    let mut l3 = ethernet::HEADER;
    let tag_in_frame = vlan == 0 && ethernet::is_tag(kind);
    if tag_in_frame {
        let tag: [u8; 4] = host.bytes(l3).ok_or(Reason::TruncatedHeader)?;
        vlan = u16::from_be_bytes([tag[0], tag[1]]) & ethernet::VLAN_ID;
        kind = u16::from_be_bytes([tag[2], tag[3]]);
        l3 += ethernet::TAG;
    }
    if kind != ethernet::IPV4 {
        return Err(Reason::NotIp);
    }
    if !host.is_own_mac(mac) {
        return Err(Reason::NotForThisHost);
    }
    let ip = ipv4::Header(host.bytes(l3).ok_or(Reason::TruncatedHeader)?);
    let l4 = l3 + ip.header_length();
    let length = ip.total_length();
    Ok(Packet {
        vlan,
        tag_in_frame,
        l3,
        l4,
        ip,
        length,
        mtu: 0,
    })
}

impl Packet {
    /// Whether the header's lengths fit each other and the frame. A packet over 64 KiB that the
    /// device will cut has a total length of 0.
    #[inline(always)]
    pub fn check<'t, H: Host<'t>>(&mut self, host: &H) -> Step<()> {
        let available = host.frame_length().wrapping_sub(self.l3);
        if self.length == 0 && host.segment_size() > 0 {
            self.length = available;
        }
        let header = self.ip.header_length();
        if self.ip.version() != 4 || header < ipv4::HEADER || self.length < header {
            return Err(Reason::BadIpHeader);
        }
        if self.length > available {
            return Err(Reason::TruncatedHeader);
        }
        Ok(())
    }

    /// The ports, where the packet holds the transport header.
    #[inline(always)]
    pub fn ports<'t, H: Host<'t>>(&self, host: &mut H) -> Step<Ports> {
        let inside = self.length.wrapping_sub(self.ip.header_length());
        let short = if self.ip.is_fragment() {
            Reason::FragmentTooShort
        } else {
            Reason::BadTransportHeader
        };
        if self.ip.protocol() == ipv4::UDP {
            if inside < wire::udp::HEADER {
                return Err(short);
            }
            let head: [u8; 4] = host.bytes(self.l4).ok_or(Reason::TruncatedHeader)?;
            return Ok(Ports::new(head, 0));
        }
        if inside < tcp::HEADER {
            return Err(short);
        }
        let head: [u8; 16] = host.bytes(self.l4).ok_or(Reason::TruncatedHeader)?;
        if ((head[tcp::LENGTH_OFFSET as usize] >> 4) as u32) * 4 < tcp::HEADER {
            return Err(Reason::BadTransportHeader);
        }
        let flags = head[tcp::LENGTH_OFFSET as usize + 1];
        Ok(Ports::new([head[0], head[1], head[2], head[3]], flags))
    }

    /// Bytes of the largest packet that this becomes on the wire.
    #[inline(always)]
    pub fn wire_length<'t, H: Host<'t>>(&self, host: &mut H) -> u32 {
        let segment = host.segment_size();
        if segment == 0 {
            return self.length;
        }
        self.headers(host) + segment
    }

    /// Packets and bytes that this is on the wire, as statistics count them.
    #[inline(always)]
    pub fn size<'t, H: Host<'t>>(&self, host: &mut H) -> (u32, u32) {
        let segments = host.segments();
        if segments <= 1 {
            return (1, self.length);
        }
        (segments, self.length + (segments - 1) * self.headers(host))
    }

    /// Bytes of the IP and transport headers, which every segment repeats.
    #[inline(always)]
    fn headers<'t, H: Host<'t>>(&self, host: &mut H) -> u32 {
        let transport = match self.ip.protocol() {
            ipv4::TCP => host
                .bytes::<1>(self.l4 + tcp::LENGTH_OFFSET)
                .map_or(tcp::HEADER, |[byte]| ((byte >> 4) as u32) * 4),
            _ => wire::udp::HEADER,
        };
        self.ip.header_length() + transport
    }
}

impl Ports {
    #[inline(always)]
    const fn new(head: [u8; 4], flags: u8) -> Self {
        Self {
            source: u16::from_ne_bytes([head[0], head[1]]),
            destination: u16::from_ne_bytes([head[2], head[3]]),
            flags,
        }
    }
}
