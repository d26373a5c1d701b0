//! What the options say, as they come.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use model::{
    ClientAddress, DestinationKey, Family, Forwarding, MaxSegment, Netmask, Protocol, ServiceKey,
    Tunnel, TunnelChecksum,
};

use crate::address::{endpoint, ipv4};
use crate::names::Resolver;
use crate::number::{atoi, number_in, u16_from};
use crate::options::{OptionKind, OptionSet, Switch};
use crate::parse::{MAX_TIMEOUT, UsageError, timeout};

/// The timeout of `-p` without a value, in seconds.
const DEFAULT_PERSISTENCE: u32 = 360;

/// What was said so far. What was not is as `ipvsadm` starts with.
pub(crate) struct Draft<'a> {
    names: &'a dyn Resolver,
    pub options: OptionSet,

    pub protocol: Option<Protocol>,
    pub address: Option<IpAddr>,
    pub port: u16,
    pub mark: u32,
    /// The family of the service, once it is known.
    pub family: Option<Family>,
    pub scheduler: &'a str,
    pub scheduler_flags: &'a str,
    pub engine: &'a str,
    /// The persistence timeout, in seconds.
    pub persistence: Option<u32>,
    pub netmask: Netmask,

    pub server: Option<DestinationKey>,
    pub forwarding: Forwarding,
    pub weight: i32,
    pub upper_threshold: u32,
    pub lower_threshold: u32,
    pub tunnel: Tunnel,
    pub max_segment: MaxSegment,
    pub client_address: ClientAddress,
    pub local_address: Option<IpAddr>,

    pub mcast_interface: &'a str,
    pub mcast_group: Option<IpAddr>,
    pub mcast_port: Option<u16>,
    pub mcast_ttl: Option<u8>,
    pub sync_id: u8,
    pub sync_max_length: Option<u16>,
}

impl<'a> Draft<'a> {
    pub(crate) fn new(names: &'a dyn Resolver) -> Self {
        Self {
            names,
            options: OptionSet::default(),
            protocol: None,
            address: None,
            port: 0,
            mark: 0,
            family: None,
            scheduler: "",
            scheduler_flags: "",
            engine: "",
            persistence: None,
            netmask: Netmask::full(Family::Ipv4),
            server: None,
            forwarding: Forwarding::Route,
            weight: 1,
            upper_threshold: 0,
            lower_threshold: 0,
            tunnel: Tunnel::default(),
            max_segment: MaxSegment::default(),
            client_address: ClientAddress::default(),
            local_address: None,
            mcast_interface: "",
            mcast_group: None,
            mcast_port: None,
            mcast_ttl: None,
            sync_id: 0,
            sync_max_length: None,
        }
    }

    /// The service that was named.
    pub(crate) fn service_key(&self) -> Option<ServiceKey> {
        let family = self.family.unwrap_or(Family::Ipv4);
        match (self.mark, self.protocol, self.address) {
            (mark @ 1.., _, _) => Some(ServiceKey::Mark { mark, family }),
            (0, Some(protocol), Some(address)) => Some(ServiceKey::Address {
                protocol,
                address,
                port: self.port,
            }),
            _ => None,
        }
    }

    /// Takes in one option. `word` is the word of the command line that it stands in.
    pub(crate) fn take(
        &mut self,
        switch: Switch,
        argument: Option<&'a str>,
        word: &str,
    ) -> Result<(), UsageError> {
        let text = argument.unwrap_or_default();
        match switch {
            Switch::Command(_) | Switch::Help | Switch::Version => {
                Err(UsageError::Failed(format!("invalid option `{word}'")))
            }
            Switch::TcpService => self.take_service(Protocol::Tcp, text),
            Switch::UdpService => self.take_service(Protocol::Udp, text),
            Switch::SctpService => self.take_service(Protocol::Sctp, text),
            Switch::MarkService => self.take_mark(text),
            Switch::Ipv6 => self.take_ipv6(),
            Switch::Masquerading => self.take_forwarding(Forwarding::Masq),
            Switch::Ipip => self.take_forwarding(Forwarding::Tunnel),
            Switch::Gatewaying => self.take_forwarding(Forwarding::Route),
            Switch::FullNat => self.take_forwarding(Forwarding::FullNat),
            Switch::Sort => Ok(()),
            Switch::Option(kind) => {
                self.once(kind)?;
                self.take_option(kind, argument, text)
            }
        }
    }

    fn once(&mut self, kind: OptionKind) -> Result<(), UsageError> {
        if self.options.insert(kind) {
            Ok(())
        } else {
            Err(UsageError::Failed(format!(
                "multiple '{}' options specified",
                kind.name()
            )))
        }
    }

    fn take_service(&mut self, protocol: Protocol, text: &str) -> Result<(), UsageError> {
        self.once(OptionKind::ServiceAddress)?;
        self.protocol = Some(protocol);
        let end = endpoint(text, self.protocol, self.names)
            .ok_or_else(|| illegal("virtual server address[:port]"))?;
        self.address = Some(end.address);
        self.port = end.port.unwrap_or(0);
        self.family = Some(Family::of(end.address));
        if end.address.is_ipv6() {
            self.netmask = Netmask::full(Family::Ipv6);
        }
        Ok(())
    }

    fn take_mark(&mut self, text: &str) -> Result<(), UsageError> {
        self.once(OptionKind::ServiceAddress)?;
        self.protocol = Some(Protocol::Tcp);
        self.family = Some(Family::Ipv4);
        self.mark = number_in(text, 1..=u32::MAX.into())
            .and_then(|mark| u32::try_from(mark).ok())
            .ok_or_else(|| {
                UsageError::Failed(format!("invalid fwmark value `{text}' specified"))
            })?;
        Ok(())
    }

    fn take_ipv6(&mut self) -> Result<(), UsageError> {
        if self.mark == 0 {
            return Err(UsageError::Failed("-6 used before -f\n".to_owned()));
        }
        self.family = Some(Family::Ipv6);
        self.netmask = Netmask::full(Family::Ipv6);
        Ok(())
    }

    fn take_forwarding(&mut self, forwarding: Forwarding) -> Result<(), UsageError> {
        self.once(OptionKind::ForwardingMethod)?;
        self.forwarding = forwarding;
        Ok(())
    }

    fn take_option(
        &mut self,
        kind: OptionKind,
        argument: Option<&'a str>,
        text: &'a str,
    ) -> Result<(), UsageError> {
        match kind {
            OptionKind::Scheduler => self.scheduler = text,
            OptionKind::SchedulerFlags => self.scheduler_flags = text,
            OptionKind::Engine => self.engine = text,
            OptionKind::Persistent => {
                self.persistence = Some(match argument {
                    None => DEFAULT_PERSISTENCE,
                    Some(text) => timeout(text, 1..=MAX_TIMEOUT)?,
                });
            }
            OptionKind::Netmask => self.netmask = self.netmask_from(text)?,
            OptionKind::RealServer => self.server = Some(self.server_from(text)?),
            OptionKind::Weight => {
                self.weight = number_in(text, 0..=i32::MAX.into())
                    .and_then(|weight| i32::try_from(weight).ok())
                    .ok_or_else(|| illegal("weight"))?;
            }
            OptionKind::UpperThreshold => self.upper_threshold = threshold(text, "u_threshold")?,
            OptionKind::LowerThreshold => self.lower_threshold = threshold(text, "l_threshold")?,
            OptionKind::TunnelType => {
                self.tunnel.kind = text.parse().map_err(|_| illegal("tunnel type"))?;
            }
            OptionKind::TunnelPort => {
                self.tunnel.port = u16_from(text, 1).ok_or_else(|| illegal("tunnel port"))?;
            }
            OptionKind::TunnelNoChecksum => self.tunnel.checksum = TunnelChecksum::None,
            OptionKind::TunnelChecksum => self.tunnel.checksum = TunnelChecksum::Full,
            OptionKind::TunnelRemoteChecksum => self.tunnel.checksum = TunnelChecksum::Remote,
            OptionKind::MaxSegment => {
                self.max_segment = text.parse().map_err(|_| illegal("mss"))?;
            }
            OptionKind::ClientAddress => {
                self.client_address = text.parse().map_err(|_| illegal("client address"))?;
            }
            OptionKind::LocalAddress => {
                let address = text.parse().map_err(|_| illegal("local address"))?;
                self.local_address = Some(address);
            }
            _ => self.take_daemon_option(kind, text)?,
        }
        Ok(())
    }

    /// Takes in an option of a sync daemon; all others say enough by being there.
    fn take_daemon_option(&mut self, kind: OptionKind, text: &'a str) -> Result<(), UsageError> {
        match kind {
            OptionKind::McastInterface => self.mcast_interface = text,
            OptionKind::McastGroup => self.mcast_group = Some(group(text)?),
            OptionKind::McastPort => {
                self.mcast_port = Some(u16_from(text, 1).ok_or_else(|| illegal("mcast-port"))?);
            }
            OptionKind::McastTtl => {
                let ttl = byte(text).filter(|&ttl| ttl != 0);
                self.mcast_ttl = Some(ttl.ok_or_else(|| illegal("mcast-ttl"))?);
            }
            OptionKind::SyncId => self.sync_id = byte(text).ok_or_else(|| illegal("syncid"))?,
            OptionKind::SyncMaxLength => {
                // The most that a UDP datagram carries over IPv4.
                let length = u16_from(text, 1).filter(|&length| length <= 65507);
                self.sync_max_length = Some(length.ok_or_else(|| illegal("sync-maxlen"))?);
            }
            _ => {}
        }
        Ok(())
    }

    fn netmask_from(&self, text: &str) -> Result<Netmask, UsageError> {
        if self.family == Some(Family::Ipv6) {
            return match atoi(text) {
                length @ 1..=128 => Ok(Netmask::V6(length.cast_unsigned())),
                _ => Err(illegal("ipv6 netmask")),
            };
        }
        let mask = ipv4(text, self.names);
        mask.map(Netmask::V4)
            .ok_or_else(|| illegal("virtual server persistent mask"))
    }

    /// A real server without a port has the service's, if the service was named before.
    fn server_from(&self, text: &str) -> Result<DestinationKey, UsageError> {
        let end = endpoint(text, self.protocol, self.names)
            .ok_or_else(|| illegal("real server address[:port]"))?;
        Ok(DestinationKey {
            address: end.address,
            port: end.port.unwrap_or(self.port),
        })
    }
}

fn illegal(what: &str) -> UsageError {
    UsageError::Failed(format!("illegal {what} specified"))
}

fn threshold(text: &str, name: &str) -> Result<u32, UsageError> {
    number_in(text, 0..=i32::MAX.into())
        .and_then(|threshold| u32::try_from(threshold).ok())
        .ok_or_else(|| illegal(name))
}

fn byte(text: &str) -> Option<u8> {
    u8::try_from(number_in(text, 0..=255)?).ok()
}

/// Reads a multicast address.
fn group(text: &str) -> Result<IpAddr, UsageError> {
    let (family, address) = if text.contains(':') {
        ("IPv6", text.parse::<Ipv6Addr>().ok().map(IpAddr::V6))
    } else {
        ("IPv4", text.parse::<Ipv4Addr>().ok().map(IpAddr::V4))
    };
    address
        .filter(IpAddr::is_multicast)
        .ok_or_else(|| UsageError::Failed(format!("invalid {family} mcast-group `{text}'")))
}
