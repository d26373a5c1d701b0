//! Network interfaces.

use std::fmt;
use std::net::IpAddr;

use crate::MacAddress;

/// A network interface, as rtnetlink(7) describes it in `RTM_NEWLINK`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// The interface's number, unique in its network namespace.
    pub ifindex: u32,
    /// Its name, for people: it can change while the number stays.
    pub name: String,
    /// What it is.
    pub kind: LinkKind,
    /// Whether frames on it have an Ethernet header. False for tunnels and other link layers.
    pub ethernet: bool,
    /// Its Ethernet address. None where the link layer has none.
    pub mac: Option<MacAddress>,
    /// The largest network-layer packet it sends, in bytes.
    pub mtu: u32,
    /// The largest IPv6 packet, in bytes, where IPv6 has a setting of its own: a router may
    /// advertise less than the link carries (RFC 4861 section 4.6.4).
    pub mtu_v6: Option<u32>,
    /// Set up by the administrator (`IFF_UP`).
    pub admin_up: bool,
    /// It has a carrier: a cable, a peer that is up (`IFF_LOWER_UP`).
    pub carrier: bool,
    /// No neighbour resolution happens on it (`IFF_NOARP`).
    pub no_arp: bool,
    /// The bridge, bond or VRF it is a port of.
    pub master: Option<u32>,
    /// For an interface on top of or paired with another: the number of that other one
    /// (`IFLA_LINK`). It counts in the namespace that `peer_netns` names.
    pub lower: Option<u32>,
    /// The namespace in which `lower` counts, as an identifier of this namespace's
    /// (`IFLA_LINK_NETNSID`). None: in this namespace.
    pub peer_netns: Option<i32>,
    /// Whether an XDP program is attached. None when the kernel did not say.
    pub xdp: Option<bool>,
    /// The device it is driven through, as `(bus, name)`: `("pci", "0000:00:03.0")`.
    pub parent_device: Option<(String, String)>,
}

/// The kind of an interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LinkKind {
    /// A network card, real or virtual: the kernel names no software kind for it.
    Physical,
    /// `lo`.
    Loopback,
    /// One end of a pair of virtual interfaces.
    Veth,
    /// An Ethernet bridge.
    Bridge,
    /// A bond of several interfaces.
    Bond,
    /// A VLAN on another interface.
    Vlan(Vlan),
    /// An interface with an address of its own on another interface.
    Macvlan,
    /// An interface that swallows what is sent.
    Dummy,
    /// Any other, by the kernel's name for it (`vxlan`, `tun`, `wireguard`, …).
    Other(String),
}

/// What makes an interface a VLAN (IEEE 802.1Q).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Vlan {
    /// The VLAN's identifier, 1 to 4094.
    pub id: u16,
    /// The tag's EtherType: 0x8100 (802.1Q) or 0x88a8 (802.1ad).
    pub protocol: u16,
}

impl Link {
    /// Whether packets can be sent through it now.
    #[must_use]
    pub const fn is_up(&self) -> bool {
        self.admin_up && self.carrier
    }

    /// The largest packet of the family of `destination`, in bytes.
    #[must_use]
    pub fn mtu_towards(&self, destination: IpAddr) -> u32 {
        match (destination, self.mtu_v6) {
            (IpAddr::V6(_), Some(mtu)) => mtu.min(self.mtu),
            _ => self.mtu,
        }
    }

    /// The VLAN it is, if it is one.
    #[must_use]
    pub const fn vlan(&self) -> Option<Vlan> {
        match self.kind {
            LinkKind::Vlan(vlan) => Some(vlan),
            _ => None,
        }
    }

    /// Whether frames of other machines arrive on it: not on loopback and dummy interfaces, which
    /// only hold addresses.
    #[must_use]
    pub const fn meets_traffic(&self) -> bool {
        !matches!(self.kind, LinkKind::Loopback | LinkKind::Dummy)
    }
}

impl fmt::Display for LinkKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Physical => "physical",
            Self::Loopback => "loopback",
            Self::Veth => "veth",
            Self::Bridge => "bridge",
            Self::Bond => "bond",
            Self::Vlan(_) => "vlan",
            Self::Macvlan => "macvlan",
            Self::Dummy => "dummy",
            Self::Other(kind) => kind,
        })
    }
}
