//! From bytes to a packet with addresses and ports.

use abi::Reason;
use wire::{ethernet, ipv4, tcp};

use crate::Host;
use crate::family::{Family, Header as _};
use crate::verdict::Step;

/// The frame's own header.
#[derive(Clone, Copy)]
pub(crate) struct Link {
    /// VLAN identifier, 0 for none.
    pub vlan: u16,
    /// Whether the tag is in the frame rather than beside it.
    pub tag_in_frame: bool,
    /// Offset of the IP header.
    pub l3: u32,
    /// Ethernet's number of what follows.
    pub kind: u16,
}

/// Whether a packet is a part of a larger one. A number, as the kernel's verifier follows numbers
/// with less work than variants.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Fragment(u8);

impl Fragment {
    /// The packet is whole.
    pub const NONE: Self = Self(0);
    /// It begins with the transport header.
    pub const FIRST: Self = Self(1);
    /// It does not.
    pub const LATER: Self = Self(2);

    /// See [`cell::blurred`].
    #[inline(always)]
    pub fn blurred(self, unknown: u32) -> Self {
        Self(cell::blurred(self.0 as u32, unknown) as u8)
    }
}

/// Where things are in a frame, and its IP header.
#[derive(Clone, Copy)]
pub(crate) struct Packet<F: Family> {
    /// The frame's header.
    pub link: Link,
    /// Offset of the transport header.
    pub l4: u32,
    /// The IP header.
    pub ip: F::Header,
    /// The transport's protocol number.
    pub protocol: u8,
    /// Whether it is whole.
    pub fragment: Fragment,
    /// What the fragments of one packet have in common, as in the packet.
    pub identification: u32,
    /// Bytes from the IP header to the packet's end.
    pub length: u32,
}

/// The ports of a TCP segment or a UDP datagram, in network order, and TCP's flags.
#[derive(Clone, Copy)]
pub(crate) struct Ports {
    pub source: u16,
    pub destination: u16,
    pub flags: u8,
}

impl Link {
    /// Reads the frame's header.
    #[inline(always)]
    pub fn read<'t, H: Host<'t>>(host: &mut H) -> Step<Self> {
        Ok(Self::with_destination(host)?.0)
    }

    /// Reads the frame's header; also gives the MAC that the frame is for.
    #[inline(always)]
    pub fn with_destination<'t, H: Host<'t>>(host: &mut H) -> Step<(Self, [u8; 6])> {
        let Some([first, second, _, fourth]) = host.words(0) else {
            // Too short for any packet, if not for the header.
            let kind: [u8; 2] = host
                .bytes(ethernet::TYPE_OFFSET)
                .ok_or(Reason::TruncatedHeader)?;
            return Err(match u16::from_be_bytes(kind) {
                ethernet::IPV4 | ethernet::IPV6 => Reason::TruncatedHeader,
                kind if ethernet::is_tag(kind) => Reason::TruncatedHeader,
                _ => Reason::NotIp,
            });
        };
        let ([a, b, c, d], [e, f, ..]) = (first.to_ne_bytes(), second.to_ne_bytes());
        let ([g, h, ..], mac) = (fourth.to_ne_bytes(), [a, b, c, d, e, f]);
        let kind = [g, h];
        let mut link = Self {
            vlan: host.tag_beside() & ethernet::VLAN_ID,
            tag_in_frame: false,
            l3: ethernet::HEADER,
            kind: u16::from_be_bytes(kind),
        };
        if link.vlan == 0 && ethernet::is_tag(link.kind) {
            let tag: [u8; 4] = host.bytes(link.l3).ok_or(Reason::TruncatedHeader)?;
            link.vlan = u16::from_be_bytes([tag[0], tag[1]]) & ethernet::VLAN_ID;
            link.kind = u16::from_be_bytes([tag[2], tag[3]]);
            link.l3 += ethernet::TAG;
            link.tag_in_frame = true;
        }
        Ok((link, mac))
    }
}

impl<F: Family> Packet<F> {
    /// Reads the frame up to the transport header. Says nothing yet about the IP header's sense:
    /// see [`Packet::check`].
    #[inline(always)]
    pub fn read<'t, H: Host<'t>>(host: &mut H) -> Step<Self> {
        let link = Link::read(host)?;
        if link.kind != F::ETHERTYPE {
            return Err(Reason::NotIp);
        }
        F::read(host, link)
    }

    /// Offset of the IP header.
    #[inline(always)]
    pub const fn l3(&self) -> u32 {
        self.link.l3
    }

    /// Bytes of the IP header with its options or extensions.
    #[inline(always)]
    pub const fn header_length(&self) -> u32 {
        self.l4.wrapping_sub(self.link.l3)
    }

    /// Whether the header's lengths fit each other and the frame. A packet over 64 KiB that the
    /// device will cut has no length of its own.
    #[inline(always)]
    pub fn check<'t, H: Host<'t>>(&mut self, host: &mut H) -> Step<()> {
        let available = host.frame_length().wrapping_sub(self.l3());
        let unsaid = if F::IS_V6 { F::HEADER } else { 0 };
        if self.length == unsaid && host.segment_size() > 0 {
            self.length = available;
        }
        let version = if F::IS_V6 { 6 } else { 4 };
        let header = self.header_length();
        if self.ip.version() != version || header < F::HEADER || self.length < header {
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
        let inside = self.length.wrapping_sub(self.header_length());
        let short = if self.fragment == Fragment::NONE {
            Reason::BadTransportHeader
        } else {
            Reason::FragmentTooShort
        };
        if self.protocol == ipv4::UDP {
            if inside < wire::udp::HEADER {
                return Err(short);
            }
            let [head] = host.words(self.l4).ok_or(Reason::TruncatedHeader)?;
            return Ok(Ports::new(head, 0));
        }
        if inside < tcp::HEADER {
            return Err(short);
        }
        let head: [u32; 4] = host.words(self.l4).ok_or(Reason::TruncatedHeader)?;
        let [length, flags, ..] = head[tcp::LENGTH_OFFSET as usize / 4].to_ne_bytes();
        if ((length >> 4) as u32) * 4 < tcp::HEADER {
            return Err(Reason::BadTransportHeader);
        }
        Ok(Ports::new(head[0], flags))
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
        let transport = match self.protocol {
            ipv4::TCP => host
                .bytes::<1>(self.l4 + tcp::LENGTH_OFFSET)
                .map_or(tcp::HEADER, |[byte]| ((byte >> 4) as u32) * 4),
            _ => wire::udp::HEADER,
        };
        self.header_length() + transport
    }
}

impl Ports {
    /// Both ports, as they stand in a packet.
    #[inline(always)]
    pub const fn word(&self) -> u32 {
        let ([a, b], [c, d]) = (self.source.to_ne_bytes(), self.destination.to_ne_bytes());
        u32::from_ne_bytes([a, b, c, d])
    }

    /// See [`cell::blurred`]: forgets what was asked of the flags.
    #[inline(always)]
    pub fn blurred(&self, unknown: u32) -> Self {
        Self {
            flags: cell::blurred(self.flags as u32, unknown) as u8,
            ..*self
        }
    }

    #[inline(always)]
    const fn new(head: u32, flags: u8) -> Self {
        let [a, b, c, d] = head.to_ne_bytes();
        Self {
            source: u16::from_ne_bytes([a, b]),
            destination: u16::from_ne_bytes([c, d]),
            flags,
        }
    }
}
