//! What a virtual router is told: plain values, which whoever reads a configuration fills in.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use crate::advert::{LONGEST_INTERVAL, Version};
use crate::announce::Announcements;
use crate::track::Tracked;
use crate::trailer::Hmacs;

/// The priority of a router that owns the addresses (RFC 9568, section 5.2.4).
pub const OWNER: u8 = 255;

/// Where adverts go to if nothing else is said (RFC 9568, section 5.1).
pub const GROUP_V4: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 18);
/// Where IPv6 adverts go to if nothing else is said.
pub const GROUP_V6: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0x12);

/// One virtual router on this host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Its name: what logs, notifications and the status call it.
    pub name: String,
    /// The interface that its adverts go through.
    pub interface: String,
    /// The virtual router's number, 1 to 255.
    pub virtual_router: u8,
    /// Which protocol it speaks.
    pub version: Version,
    /// 1 to 254, or [`OWNER`].
    pub priority: u8,
    /// Between adverts: whole seconds up to 255 s in version 2, 10 ms to 40.95 s in version 3.
    pub interval: Duration,
    /// After how many intervals without an advert (and the skew time) a backup takes over; RFC: 3.
    pub down_adverts: u32,
    /// Whether it takes over from a master of lower priority, and how long it waits before.
    pub preempt: Preempt,
    /// The addresses that adverts tell, all of one family.
    pub addresses: Vec<IpAddr>,
    /// To whom adverts go.
    pub peers: Peers,
    /// Version 2's authentication.
    pub authentication: Authentication,
    /// The trailer that authenticates adverts of both versions.
    pub hmacs: Option<Hmacs>,
    /// How neighbours are told of a take-over.
    pub announcements: Announcements,
    /// Whether a master answers an advert of lower priority with its own at once, so that two masters
    /// end (RFC 9568, section 6.4.3); RFC 3768 does not.
    pub answers_lower: bool,
    /// Whether a master that hears a higher priority sends a last advert, on which the other one
    /// corrects the neighbours.
    pub answers_higher: bool,
    /// Whether adverts with other addresses than ours are refused.
    pub checks_addresses: bool,
    /// Whether it listens to nobody as the [`OWNER`] of its addresses.
    pub owner_ignores_adverts: bool,
    /// What raises or lowers the priority, or stops it.
    pub tracked: Vec<Tracked>,
}

/// Whether a master of lower priority is left in place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Preempt {
    /// It is not, once it was heard for this long.
    After(Duration),
    /// It is.
    Never,
}

/// To whom adverts go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Peers {
    /// To whoever listens on the link.
    Multicast(IpAddr),
    /// To these alone, over routers if need be.
    Unicast {
        /// The others.
        peers: Vec<IpAddr>,
        /// Packets are sent with this time to live or hop limit.
        hop_limit: u8,
        /// Whether others than the peers are refused.
        only: bool,
        /// The times to live of packets that are accepted, where a peer has such.
        hop_limits: BTreeMap<IpAddr, std::ops::RangeInclusive<u8>>,
    },
}

/// Version 2's authentication (RFC 2338, section 10). Not to be relied on: a password is in clear.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub enum Authentication {
    /// None.
    #[default]
    None,
    /// A password of up to eight characters, with zeroes behind.
    Password([u8; 8]),
    /// An Authentication Header made with this key.
    AuthenticationHeader([u8; 8]),
}

impl std::fmt::Debug for Authentication {
    /// Without the secret, which has no business in a log.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::None => "None",
            Self::Password(_) => "Password",
            Self::AuthenticationHeader(_) => "AuthenticationHeader",
        })
    }
}

/// Why settings make no virtual router.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Invalid {
    /// RFC 9568, section 5.2.3.
    #[error("{0}: a virtual router's number is 1 to 255, not 0")]
    VirtualRouter(String),
    /// 0 means that a master ceases to be one.
    #[error("{0}: a priority is 1 to 255, not 0")]
    Priority(String),
    /// Version 2 tells whole seconds, version 3 whole centiseconds.
    #[error(
        "{name}: an interval of {interval:?} cannot be told\nhint: version 2 has 1 to 255 whole seconds, version 3 has 10 ms to 40.95 s in steps of 10 ms"
    )]
    Interval {
        /// The instance.
        name: String,
        /// What was asked for.
        interval: Duration,
    },
    /// Adverts are of one family.
    #[error(
        "{0}: its addresses are of both families\nhint: put those of one of them into virtual_ipaddress_excluded"
    )]
    Families(String),
    /// An advert counts its addresses in eight bits.
    #[error(
        "{name}: an advert holds 255 addresses, not {count}\nhint: put the others into virtual_ipaddress_excluded"
    )]
    Addresses {
        /// The instance.
        name: String,
        /// How many there are.
        count: usize,
    },
    /// Version 2 is of IPv4.
    #[error("{0}: VRRP version 2 has no IPv6\nhint: version 3")]
    Ipv6InVersion2(String),
    /// Peers, group and virtual addresses are not of one family.
    #[error("{0}: its peers or its multicast group are of another family than its addresses")]
    PeerFamily(String),
    /// Version 3 has no such authentication.
    #[error(
        "{0}: VRRP version 3 has no authentication by PASS or AH\nhint: version 2, or auth_hmac"
    )]
    AuthenticationInVersion3(String),
    /// The key that adverts are to be sent with is not there.
    #[error("{name}: auth_hmac has no key {key}, which is the active one")]
    NoActiveKey {
        /// The instance.
        name: String,
        /// The active key's number.
        key: u8,
    },
    /// Two instances would hear each other's adverts as their own.
    #[error("{first} and {second} are both virtual router {virtual_router} on {interface}")]
    Twice {
        /// One instance.
        first: String,
        /// The other.
        second: String,
        /// The number that both have.
        virtual_router: u8,
        /// Where.
        interface: String,
    },
    /// A sync group names an instance that is not there.
    #[error("sync group {group}: there is no instance {member}")]
    NoSuchMember {
        /// The group.
        group: String,
        /// What it names.
        member: String,
    },
    /// An instance is in more than one sync group.
    #[error("instance {0} is in two sync groups")]
    TwoGroups(String),
}

impl Settings {
    /// A virtual router of these addresses with everything else as keepalived has it.
    pub fn new(name: &str, interface: &str, virtual_router: u8, addresses: Vec<IpAddr>) -> Self {
        let v6 = addresses.first().is_some_and(IpAddr::is_ipv6);
        Self {
            name: name.to_owned(),
            interface: interface.to_owned(),
            virtual_router,
            version: if v6 { Version::V3 } else { Version::V2 },
            priority: 100,
            interval: Duration::from_secs(1),
            down_adverts: 3,
            preempt: Preempt::After(Duration::ZERO),
            addresses,
            peers: Peers::Multicast(if v6 { GROUP_V6.into() } else { GROUP_V4.into() }),
            authentication: Authentication::None,
            hmacs: None,
            announcements: Announcements::default(),
            answers_lower: true,
            answers_higher: false,
            checks_addresses: true,
            owner_ignores_adverts: false,
            tracked: Vec::new(),
        }
    }

    /// Whether its adverts are IPv6 packets.
    pub fn is_ipv6(&self) -> bool {
        match &self.peers {
            Peers::Multicast(group) => group.is_ipv6(),
            Peers::Unicast { peers, .. } => match self.addresses.first().or(peers.first()) {
                Some(address) => address.is_ipv6(),
                None => false,
            },
        }
    }

    /// Checks what one instance's settings must hold.
    ///
    /// # Errors
    /// What does not hold.
    pub fn check(&self) -> Result<(), Invalid> {
        let name = || self.name.clone();
        let v6 = self.is_ipv6();
        if self.virtual_router == 0 {
            return Err(Invalid::VirtualRouter(name()));
        }
        if self.priority == 0 {
            return Err(Invalid::Priority(name()));
        }
        if !self.interval_can_be_told() {
            let interval = self.interval;
            return Err(Invalid::Interval {
                name: name(),
                interval,
            });
        }
        if self.addresses.len() > 255 {
            let count = self.addresses.len();
            return Err(Invalid::Addresses {
                name: name(),
                count,
            });
        }
        if self
            .addresses
            .windows(2)
            .any(|pair| pair[0].is_ipv6() != pair[1].is_ipv6())
        {
            return Err(Invalid::Families(name()));
        }
        if v6 && self.version == Version::V2 {
            return Err(Invalid::Ipv6InVersion2(name()));
        }
        if !self
            .peers
            .addresses()
            .iter()
            .chain(&self.addresses)
            .all(|address| address.is_ipv6() == v6)
        {
            return Err(Invalid::PeerFamily(name()));
        }
        if self.version == Version::V3 && self.authentication != Authentication::None {
            return Err(Invalid::AuthenticationInVersion3(name()));
        }
        match &self.hmacs {
            Some(hmacs) if !hmacs.keys.iter().any(|key| key.number == hmacs.active_key) => {
                let key = hmacs.active_key;
                Err(Invalid::NoActiveKey { name: name(), key })
            }
            _ => Ok(()),
        }
    }

    fn interval_can_be_told(&self) -> bool {
        let (step, most) = match self.version {
            Version::V2 => (Duration::from_secs(1), Duration::from_secs(255)),
            Version::V3 => (Duration::from_millis(10), LONGEST_INTERVAL),
        };
        (step..=most).contains(&self.interval)
            && self.interval.as_nanos().is_multiple_of(step.as_nanos())
    }
}

impl Peers {
    /// Where adverts are sent to.
    pub fn addresses(&self) -> &[IpAddr] {
        match self {
            Self::Multicast(group) => std::slice::from_ref(group),
            Self::Unicast { peers, .. } => peers,
        }
    }
}
