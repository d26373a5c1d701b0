//! A host whose packets are byte buffers.

use std::net::IpAddr;

use decap::{Address, Family, Host, Outcome, Settings, mapped};

/// A packet from its IP header on, and a host that it has come to.
#[derive(Debug, Clone)]
pub struct Memory {
    pub packet: Vec<u8>,
    pub settings: Settings,
    pub own: Vec<IpAddr>,
    pub virtual_addresses: Vec<IpAddr>,
    pub is_joined: bool,
}

impl Memory {
    /// A real server with all tunnels on.
    pub fn new(packet: Vec<u8>, own: &str, virtual_address: &str) -> Self {
        Self {
            packet,
            settings: Settings {
                ipip: true,
                gre: true,
                gue_port: 6080,
            },
            own: vec![own.parse().unwrap()],
            virtual_addresses: vec![virtual_address.parse().unwrap()],
            is_joined: false,
        }
    }

    /// What becomes of the packet. One that is left or dropped must not be taken apart.
    pub fn decapsulate(&mut self) -> Outcome {
        let before = self.packet.len();
        let outcome = decap::decapsulate(self);
        let shorter = self.packet.len() < before;
        let is_out = outcome.fate() == decap::Fate::Decapsulated;
        assert_eq!(is_out, shorter, "{outcome:?}");
        outcome
    }
}

fn address(address: IpAddr) -> Address {
    match address {
        IpAddr::V4(v4) => mapped(u32::from_ne_bytes(v4.octets())),
        IpAddr::V6(v6) => {
            let octets = v6.octets();
            let mut words = [0; 4];
            for (word, bytes) in words.iter_mut().zip(octets.chunks_exact(4)) {
                *word = u32::from_ne_bytes(bytes.try_into().unwrap());
            }
            words
        }
    }
}

impl Host for Memory {
    fn settings(&self) -> Settings {
        self.settings
    }

    fn family(&self) -> Option<Family> {
        match self.packet.first()? >> 4 {
            4 => Some(Family::Ipv4),
            6 => Some(Family::Ipv6),
            _ => None,
        }
    }

    fn length(&self) -> u32 {
        self.packet.len() as u32
    }

    fn is_joined(&self) -> bool {
        self.is_joined
    }

    fn bytes<const N: usize>(&self, offset: u32) -> Option<[u8; N]> {
        let offset = offset as usize;
        self.packet.get(offset..offset + N)?.try_into().ok()
    }

    fn set_bytes<const N: usize>(&mut self, offset: u32, bytes: &[u8; N]) -> Option<()> {
        let offset = offset as usize;
        self.packet
            .get_mut(offset..offset + N)?
            .copy_from_slice(bytes);
        Some(())
    }

    fn sum(&self, offset: u32, length: u32) -> Option<u16> {
        let (offset, length) = (offset as usize, length as usize);
        let bytes = self.packet.get(offset..offset + length)?;
        Some(!wire::checksum::of(bytes))
    }

    fn is_own(&self, wanted: Address) -> bool {
        self.own.iter().any(|own| address(*own) == wanted)
    }

    fn is_virtual(&self, wanted: Address) -> bool {
        let mut all = self.virtual_addresses.iter();
        all.any(|own| address(*own) == wanted)
    }

    fn remove(&mut self, length: u32, outer: Family, inner: Family) -> Option<()> {
        assert_eq!(Some(outer), self.family());
        self.packet.drain(..length as usize);
        assert_eq!(Some(inner), self.family());
        Some(())
    }
}
