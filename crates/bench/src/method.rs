//! What the director of a measurement is configured to do.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use model::{
    Command, Destination, DestinationKey, Forwarding, Protocol, ServiceKey, ServiceRequest, Tunnel,
    TunnelKind,
};

/// An address and a port.
pub type End = (IpAddr, u16);

/// The virtual service and its real server, by IPv4 and VS/NAT.
pub const VIRTUAL: (Ipv4Addr, u16) = (Ipv4Addr::new(198, 18, 0, 1), 80);
/// The real server of [`VIRTUAL`].
pub const REAL: (Ipv4Addr, u16) = (Ipv4Addr::new(198, 18, 1, 2), 8080);
/// Where GUE's packets go.
const GUE_PORT: u16 = 6080;

/// One virtual service with one real server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Method {
    /// How packets get to the real server.
    pub forwarding: Forwarding,
    /// What they are wrapped into, where they are.
    pub kind: TunnelKind,
    /// Whether client and real server have IPv6 addresses.
    pub is_v6: bool,
}

impl Method {
    /// VS/NAT over IPv4.
    pub const NAT: Self = Self::v4(Forwarding::Masq, TunnelKind::Ipip);
    /// VS/NAT over IPv6.
    pub const NAT_V6: Self = Self::v6(Forwarding::Masq);
    /// VS/TUN over IPv4, by IPIP.
    pub const IPIP: Self = Self::v4(Forwarding::Tunnel, TunnelKind::Ipip);

    /// All that are measured.
    pub const ALL: [Self; 7] = [
        Self::NAT,
        Self::v4(Forwarding::Route, TunnelKind::Ipip),
        Self::IPIP,
        Self::v4(Forwarding::Tunnel, TunnelKind::Gue),
        Self::NAT_V6,
        Self::v6(Forwarding::Route),
        Self::v6(Forwarding::Tunnel),
    ];

    const fn v4(forwarding: Forwarding, kind: TunnelKind) -> Self {
        Self {
            forwarding,
            kind,
            is_v6: false,
        }
    }

    const fn v6(forwarding: Forwarding) -> Self {
        Self {
            forwarding,
            kind: TunnelKind::Ipip,
            is_v6: true,
        }
    }

    /// Whether packets go through a tunnel.
    pub const fn is_tunnel(self) -> bool {
        matches!(self.forwarding, Forwarding::Tunnel)
    }

    /// An address family's name.
    pub const fn family(is_v6: bool) -> &'static str {
        if is_v6 { "IPv6" } else { "IPv4" }
    }

    /// Its name among the cases.
    pub const fn name(self) -> &'static str {
        match (self.forwarding, self.kind) {
            (Forwarding::Route, _) => "DR",
            (Forwarding::Tunnel, TunnelKind::Ipip) => "TUN ipip",
            (Forwarding::Tunnel, TunnelKind::Gue) => "TUN gue",
            (Forwarding::Tunnel, TunnelKind::Gre) => "TUN gre",
            (Forwarding::Masq | Forwarding::Local | Forwarding::FullNat, _) => "NAT",
        }
    }

    /// The virtual service.
    pub const fn service(self) -> End {
        let address = if self.is_v6 {
            IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1))
        } else {
            IpAddr::V4(VIRTUAL.0)
        };
        (address, VIRTUAL.1)
    }

    /// The real server: only VS/NAT can give it another port.
    pub const fn server(self) -> End {
        let address = if self.is_v6 {
            IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 1, 0, 0, 0, 0, 2))
        } else {
            IpAddr::V4(REAL.0)
        };
        match self.forwarding {
            Forwarding::Masq => (address, REAL.1),
            _ => (address, VIRTUAL.1),
        }
    }

    /// An end that is not the director's.
    pub const fn foreign(self) -> End {
        let address = if self.is_v6 {
            IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 9, 0, 0, 0, 0, 9))
        } else {
            IpAddr::V4(Ipv4Addr::new(198, 18, 9, 9))
        };
        (address, VIRTUAL.1)
    }

    /// What configures VS/NAT, as `ipvsadm -S -n` prints it.
    pub fn rules(self) -> String {
        let end = |(address, port): End| SocketAddr::from((address, port));
        let (service, server) = (end(self.service()), end(self.server()));
        format!("-A -t {service} -s wrr\n-a -t {service} -r {server} -m\n")
    }

    /// What configures it.
    pub fn commands(self) -> [Command; 2] {
        let (address, port) = self.service();
        let service = ServiceKey::Address {
            protocol: Protocol::Tcp,
            address,
            port,
        };
        let (address, port) = self.server();
        let key = DestinationKey { address, port };
        let mut destination = Destination::new(key, self.forwarding);
        destination.tunnel = Tunnel {
            kind: self.kind,
            port: if self.kind == TunnelKind::Gue {
                GUE_PORT
            } else {
                0
            },
            ..Tunnel::default()
        };
        [
            Command::AddService(ServiceRequest::new(service, "wrr")),
            Command::AddDestination {
                service,
                destination,
            },
        ]
    }
}
