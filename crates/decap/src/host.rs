//! What the end of a tunnel needs of the place where it runs.

/// An address as four words in network order, IPv4 ones mapped into IPv6 (RFC 4291, section 2.5.5.2).
pub type Address = [u32; 4];

/// An IPv4 address, in network order, mapped into IPv6.
#[inline(always)]
pub const fn mapped(address: u32) -> Address {
    [0, 0, 0xffff_u32.to_be(), address]
}

/// An address family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// IPv4.
    Ipv4,
    /// IPv6.
    Ipv6,
}

/// Which tunnels end here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// IP in IP.
    pub ipip: bool,
    /// GRE.
    pub gre: bool,
    /// GUE's UDP port, in host order; 0 where GUE is off.
    pub gue_port: u16,
}

/// A packet, and what is known on its host. Offsets count bytes from the (outer) IP header on.
pub trait Host {
    /// Which tunnels end here.
    fn settings(&self) -> Settings;

    /// The family of the packet; none for anything but IP.
    fn family(&self) -> Option<Family>;

    /// The packet's bytes, in all.
    fn length(&self) -> u32;

    /// Whether it is several packets that travel as one, with headers of the first (GSO, GRO). Whoever
    /// joined them, or will take them apart, answers for their checksums.
    fn is_joined(&self) -> bool;

    /// Bytes of the packet; none if it ends before.
    fn bytes<const N: usize>(&self, offset: u32) -> Option<[u8; N]>;

    /// Changes bytes of the packet; none if it ends before.
    fn set_bytes<const N: usize>(&mut self, offset: u32, bytes: &[u8; N]) -> Option<()>;

    /// The folded sum of the 16-bit words from an offset on, as they stand in memory; a last odd byte
    /// counts as if a zero followed. None if the packet ends before, or is too long to be summed here.
    fn sum(&self, offset: u32, length: u32) -> Option<u16>;

    /// Whether an address is one of this host's.
    fn is_own(&self, address: Address) -> bool;

    /// Whether an address is one that packets are taken out of tunnels for.
    fn is_virtual(&self, address: Address) -> bool;

    /// Takes away the first bytes of the packet, which leaves one of another family perhaps. None if
    /// the host cannot.
    fn remove(&mut self, length: u32, outer: Family, inner: Family) -> Option<()>;
}
