//! The cases of a packet in the programs: which there are, and what should come of each.

use std::fmt;

use abi::Reason;
use model::TunnelKind;
use plane_bpf::Hook;

use crate::farm::{self, SERVERS, SERVICES};
use crate::method::{End, Method};
use crate::pattern::{ANY_MAC, Clients, Kind, Pattern, Spread};

/// As many flows as are called a million.
pub const MILLION: u32 = 1 << 20;

const XDP_PASS: u32 = 2;
const XDP_REDIRECT: u32 = 4;
const TC_OK: u32 = 0;
const TC_REDIRECT: u32 = 7;

/// A way that packets take through a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// Opens a connection.
    New,
    /// Belongs to one.
    Known,
    /// Comes from the real server.
    Reply,
    /// Concerns no virtual service.
    NotOurs,
    /// Would open a connection, for which there is no place.
    Full,
}

impl Way {
    /// The hook's return code.
    pub const fn code(self, hook: Hook) -> u32 {
        match (self, hook) {
            (Self::NotOurs, Hook::Xdp) => XDP_PASS,
            (Self::NotOurs, Hook::Ingress) => TC_OK,
            (_, Hook::Xdp) => XDP_REDIRECT,
            (_, Hook::Ingress) => TC_REDIRECT,
        }
    }

    /// How many of so many packets must have been counted with it: all, but in a full table one of
    /// a hundred may have found a place.
    pub const fn least(self, packets: u64) -> u64 {
        match self {
            Self::Full => packets - packets / 100,
            _ => packets,
        }
    }
}

/// How much the director is configured for, and which of it the packets are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scale {
    /// One virtual service with one real server.
    One,
    /// All of [`farm`]; all packets are for one service.
    OneOfMany,
    /// All of [`farm`]; the flows take turns at the services.
    Many,
}

impl fmt::Display for Scale {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (thousands, rest) = (SERVICES / 1000, SERVICES % 1000);
        match self {
            Self::One => Ok(()),
            Self::OneOfMany => write!(f, ", one of {thousands},{rest:03} services"),
            Self::Many => write!(f, ", {thousands},{rest:03} services"),
        }
    }
}

/// Packets of a number of flows, which take one way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Case {
    /// What the director is configured to do.
    pub method: Method,
    /// The way.
    pub way: Way,
    /// Number of flows, a power of two.
    pub flows: u32,
    /// The director's configuration.
    pub scale: Scale,
    /// Whether flows come in an order that no cache can foresee.
    pub is_scattered: bool,
}

impl Case {
    /// Known connections of one service.
    pub const fn known(method: Method, flows: u32) -> Self {
        Self {
            method,
            way: Way::Known,
            flows,
            scale: Scale::One,
            is_scattered: false,
        }
    }

    /// Those that can be measured on a hook. On TC a packet is put into a tunnel once only: the
    /// kernel remembers that it is in one, and the frame does not come anew.
    pub fn all(hook: Hook) -> Vec<Self> {
        let mut methods = Method::ALL.to_vec();
        methods.retain(|method| hook == Hook::Xdp || !method.is_tunnel());
        methods.into_iter().flat_map(Self::of).collect()
    }

    fn of(method: Method) -> Vec<Self> {
        let sizes: &[u32] = match method {
            Method::NAT => &[1, 1 << 10, 1 << 13, 1 << 16, 1 << 18, MILLION],
            _ => &[1, 1 << 16, MILLION],
        };
        let case = |way, flows| Self {
            way,
            ..Self::known(method, flows)
        };
        let mut cases: Vec<_> = sizes.iter().map(|&flows| case(Way::Known, flows)).collect();
        if matches!(method, Method::NAT | Method::NAT_V6) {
            cases.extend([1, 1 << 16, MILLION].map(|flows| case(Way::Reply, flows)));
            cases.extend([1, MILLION].map(|flows| case(Way::NotOurs, flows)));
        }
        cases.push(case(Way::New, MILLION));
        if method == Method::NAT {
            cases.push(case(Way::Full, MILLION));
        }
        cases
    }

    /// Those of a large configuration, on XDP.
    pub fn large() -> Vec<Self> {
        const SIZES: [u32; 3] = [1, 1 << 16, MILLION];
        let many = |way: Way, sizes: &[u32]| {
            let case = |&flows: &u32| Self {
                way,
                scale: Scale::Many,
                is_scattered: true,
                ..Self::known(Method::NAT, flows)
            };
            sizes.iter().map(case).collect::<Vec<_>>()
        };
        let one = |case| Self {
            scale: Scale::OneOfMany,
            ..case
        };
        let (known, new) = (many(Way::Known, &SIZES), many(Way::New, &[MILLION]));
        let to_one = |cases: &[Self]| cases.iter().copied().map(one).collect();
        let cases = [
            to_one(&known[1..]),
            known,
            many(Way::Reply, &SIZES),
            many(Way::NotOurs, &[1, MILLION]),
            to_one(&new),
            new,
        ];
        cases.concat()
    }

    /// The same with one service.
    pub const fn with_one_service(self) -> Self {
        Self {
            scale: Scale::One,
            ..self
        }
    }

    /// How many real servers its connections go to.
    pub fn destinations(self) -> u32 {
        match self.scale {
            Scale::One => 1,
            Scale::OneOfMany => self.flows.min(SERVERS),
            Scale::Many => self.flows.min(SERVICES * SERVERS),
        }
    }

    fn service(self) -> End {
        match self.scale {
            Scale::One => self.method.service(),
            Scale::OneOfMany | Scale::Many => farm::service(0),
        }
    }

    fn server(self) -> End {
        match self.scale {
            Scale::One => self.method.server(),
            Scale::OneOfMany | Scale::Many => farm::server(0, 0),
        }
    }

    fn spread(self) -> Spread {
        let (services, servers) = match (self.scale, self.way) {
            (Scale::One | Scale::OneOfMany, _) | (_, Way::NotOurs) => (1, 0),
            (Scale::Many, Way::Reply) => (SERVICES, SERVERS),
            (Scale::Many, _) => (SERVICES, 0),
        };
        let Spread { ports, .. } = Spread::CLIENTS;
        Spread {
            // What is not ours is looked up by its addresses.
            ports: if self.way == Way::NotOurs { 1 } else { ports },
            services,
            servers,
            is_scattered: self.is_scattered,
        }
    }

    /// Its packets.
    pub fn pattern(self) -> Pattern {
        let (kind, (address, port)) = match self.way {
            Way::New | Way::Full => (Kind::FromClient { opens: true }, self.service()),
            Way::Known => (Kind::FromClient { opens: false }, self.service()),
            Way::Reply => (Kind::Reply, self.server()),
            Way::NotOurs => (Kind::FromClient { opens: false }, self.method.foreign()),
        };
        let clients = match self.way {
            Way::Full => Clients::Strangers,
            _ => Clients::Usual,
        };
        Pattern {
            kind,
            clients,
            address,
            port,
            destination_mac: [0; 6],
            source_mac: ANY_MAC,
            first: 0,
            flows: self.flows,
            spread: self.spread(),
            code: 0,
        }
    }

    /// The reason that every packet is counted with; XDP leaves counting what it passes to TC.
    pub const fn reason(self, hook: Hook) -> Option<Reason> {
        match (self.way, hook) {
            (Way::New | Way::Known, _) if self.method.is_tunnel() => Some(Reason::Tunnelled),
            (Way::New | Way::Known, _) => Some(Reason::Forwarded),
            (Way::Reply, _) => Some(Reason::Replied),
            (Way::Full, _) => Some(Reason::TableFull),
            (Way::NotOurs, Hook::Ingress) => Some(Reason::NotOurs),
            (Way::NotOurs, Hook::Xdp) => None,
        }
    }

    /// The most nanoseconds that it should take, on the machine of docs/performance.md.
    pub const fn goal(self, hook: Hook) -> Option<f64> {
        let Hook::Xdp = hook else {
            return None;
        };
        let is_gue = self.method.is_tunnel() && matches!(self.method.kind, TunnelKind::Gue);
        match (self.way, self.flows, self.method.is_v6) {
            (Way::NotOurs, ..) => Some(20.0),
            (Way::New, ..) => Some(220.0),
            (Way::Known | Way::Reply, 1, true) => Some(60.0),
            (Way::Known | Way::Reply, MILLION, true) => Some(260.0),
            (Way::Known, 1, false) if is_gue => Some(70.0),
            (Way::Known | Way::Reply, 1, false) => Some(45.0),
            (Way::Known | Way::Reply, 65_536, false) => Some(170.0),
            (Way::Known | Way::Reply, MILLION, false) => Some(225.0),
            (Way::Full, ..) => Some(245.0),
            _ => None,
        }
    }
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            method,
            way,
            flows,
            scale,
            is_scattered: _,
        } = self;
        let (family, name) = (Method::family(method.is_v6), method.name());
        match way {
            Way::NotOurs => write!(f, "{family}{scale}: not ours, {flows} sources"),
            Way::New => write!(
                f,
                "{family} {name}{scale}: new connection, {flows} in a row"
            ),
            Way::Full => write!(
                f,
                "{family} {name}{scale}: SYN at a full table, {flows} flows"
            ),
            Way::Known => write!(f, "{family} {name}{scale}: known connection, {flows} flows"),
            Way::Reply => write!(f, "{family} {name}{scale}: reply, {flows} flows"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_cases_of_a_hook_have_one_name() {
        let mut names: Vec<_> = Case::all(Hook::Xdp)
            .into_iter()
            .chain(Case::large())
            .map(|case| case.to_string())
            .collect();
        let before = names.len();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), before);
        assert!(names.contains(&"IPv4 NAT, 10,000 services: known connection, 1 flows".to_owned()));
    }

    #[test]
    fn a_large_configuration_s_flows_meet_as_many_real_servers_as_they_can() {
        let case = |scale, flows| Case {
            scale,
            ..Case::known(Method::NAT, flows)
        };
        assert_eq!(case(Scale::Many, 65_536).destinations(), 65_536);
        assert_eq!(case(Scale::Many, MILLION).destinations(), 1_000_000);
        assert_eq!(case(Scale::OneOfMany, MILLION).destinations(), 100);
        assert_eq!(case(Scale::One, MILLION).destinations(), 1);
    }
}
