//! The outer IP header.

use wire::{ipv4, ipv6};

use crate::{Address, Family, Host, Outcome, mapped};

/// Extension headers that are walked over: the kernel's IPv6 tunnels put one before what they carry.
const MOST_EXTENSIONS: u32 = 2;

/// The outer IP header, with its options or extensions.
#[derive(Clone, Copy)]
pub(crate) struct Outer {
    pub family: Family,
    pub source: Address,
    pub destination: Address,
    /// TOS or traffic class.
    pub tos: u8,
    /// What follows the header and its extensions.
    pub protocol: u8,
    /// Bytes of the header.
    pub header: u32,
    /// Where the packet ends. A frame may be longer, for it has a least length.
    pub end: u32,
    /// Whether it is a piece of a larger packet, and one that does not begin with the tunnel's header.
    pub is_fragment: bool,
    pub is_later_fragment: bool,
}

impl Outer {
    #[inline(always)]
    pub fn read<H: Host>(host: &H) -> Result<Self, Outcome> {
        match host.family() {
            Some(Family::Ipv4) => Self::read_v4(host).ok_or(Outcome::Other),
            Some(Family::Ipv6) => Self::read_v6(host).ok_or(Outcome::Other),
            None => Err(Outcome::Other),
        }
    }

    #[inline(always)]
    fn read_v4<H: Host>(host: &H) -> Option<Self> {
        let header = ipv4::Header::from_bytes(host.bytes(0)?);
        let length = header.header_length();
        if header.version() != 4 || length < ipv4::HEADER {
            return None;
        }
        Some(Self {
            family: Family::Ipv4,
            source: mapped(header.source()),
            destination: mapped(header.destination()),
            tos: header.tos(),
            protocol: header.protocol(),
            header: length,
            end: end(host, header.total_length(), length)?,
            is_fragment: header.is_fragment(),
            is_later_fragment: header.is_later_fragment(),
        })
    }

    #[inline(always)]
    fn read_v6<H: Host>(host: &H) -> Option<Self> {
        let header = ipv6::Header::from_bytes(host.bytes(0)?);
        if header.version() != 6 {
            return None;
        }
        let end = end(host, ipv6::HEADER + header.payload_length(), ipv6::HEADER)?;
        let mut outer = Self {
            family: Family::Ipv6,
            source: header.source(),
            destination: header.destination(),
            tos: header.traffic_class(),
            protocol: header.next_header(),
            header: ipv6::HEADER,
            end,
            is_fragment: false,
            is_later_fragment: false,
        };
        for _ in 0..MOST_EXTENSIONS {
            outer.step_over(host)?;
        }
        Some(outer)
    }

    /// Steps over an extension header, if one follows.
    #[inline(always)]
    fn step_over<H: Host>(&mut self, host: &H) -> Option<()> {
        if !matches!(
            self.protocol,
            ipv6::HOP_BY_HOP | ipv6::DESTINATION_OPTIONS | ipv6::FRAGMENT
        ) || self.is_later_fragment
        {
            return Some(());
        }
        let extension: [u8; 8] = host.bytes(self.header)?;
        if self.protocol == ipv6::FRAGMENT {
            let fragment = ipv6::Fragment(extension);
            // One that is the whole packet (RFC 6946) is no piece.
            self.is_later_fragment = fragment.is_later();
            self.is_fragment = fragment.is_later() || fragment.more();
        }
        self.header += ipv6::extension_length(self.protocol, extension[1]);
        self.protocol = extension[0];
        Some(())
    }

    /// Refuses pieces of packets.
    #[inline(always)]
    pub fn is_whole(&self) -> Result<(), Outcome> {
        if self.is_fragment {
            Err(Outcome::Fragment)
        } else {
            Ok(())
        }
    }
}

/// Where a packet ends by its header, if it is all there. The header of packets that travel as one
/// need not say how long they are together.
#[inline(always)]
fn end<H: Host>(host: &H, by_header: u32, least: u32) -> Option<u32> {
    let there = host.length();
    if host.is_joined() {
        return Some(there);
    }
    (by_header >= least && by_header <= there).then_some(by_header)
}
