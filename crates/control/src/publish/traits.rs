//! What a service's cell says of the service itself.

use abi::{Address, ServiceCell, Tick, View, service_flags};
use model::{Family, Netmask, Service};

use crate::publish::records::DestinationRecord;
use crate::schedule::flags_of;
use crate::words;

/// What a service's cell says of the service itself, rather than of its destinations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Traits {
    /// See [`service_flags`].
    flags: u32,
    /// How long a template lasts; 0 without persistence.
    persistence: Tick,
    /// The bits of a client's address that persistence goes by.
    mask: Address,
}

impl Traits {
    /// A service's, with these destinations.
    pub(crate) fn of(
        view: &View<'_>,
        service: &Service,
        destinations: &[DestinationRecord],
    ) -> Self {
        let tunnels = destinations.iter().any(DestinationRecord::is_tunnelled);
        let flags = if tunnels { service_flags::TUNNELS } else { 0 } | flags_of(service);
        let ops = if service.one_packet {
            service_flags::ONE_PACKET
        } else {
            0
        };
        let (persistence, mask) = service.persistence.map_or((0, [0; 4]), |persistence| {
            (
                words::ticks(view, persistence.timeout),
                words_of(persistence.netmask, service.key.family()),
            )
        });
        Self {
            flags: flags | ops,
            persistence,
            mask,
        }
    }

    pub(crate) fn read(cell: &ServiceCell) -> Self {
        Self {
            flags: cell.flags.load(),
            persistence: cell.persistence.load(),
            mask: words::load(&cell.persistence_mask),
        }
    }

    pub(crate) fn write(&self, cell: &ServiceCell) {
        cell.flags.store(self.flags);
        cell.persistence.store(self.persistence);
        words::store(&cell.persistence_mask, self.mask);
    }
}

/// A mask as it is laid over a client's address.
fn words_of(netmask: Netmask, family: Family) -> Address {
    let ones = match family {
        Family::Ipv4 => std::net::Ipv4Addr::BROADCAST.into(),
        Family::Ipv6 => std::net::Ipv6Addr::from_bits(u128::MAX).into(),
    };
    words::of(netmask.apply(ones))
}
