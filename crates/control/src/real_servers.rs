//! Where real servers of VS/NAT take connections. Packets go by it while `nat_icmp_send` is on: what
//! comes from there and belongs to no connection is answered (`ip_vs_has_real_service`).

use std::collections::BTreeSet;

use abi::{RealServerKey, ServiceCell};
use model::{Destination, Forwarding, ServiceKey};

use crate::wanted::{Wanted, WantedService};
use crate::{Plane, PlaneError, words};

/// What the plane's table holds.
#[derive(Debug)]
pub(crate) struct RealServers {
    /// `None` where that is not known.
    noted: Option<BTreeSet<RealServerKey>>,
}

impl RealServers {
    /// Of a table that is empty.
    pub(crate) fn none() -> Self {
        Self {
            noted: Some(BTreeSet::new()),
        }
    }

    /// Of a table that an earlier daemon left.
    pub(crate) fn unknown() -> Self {
        Self { noted: None }
    }

    /// Makes the table hold the wanted state's, or none where they are not `needed`.
    ///
    /// # Errors
    /// When the plane does not take a change. The rest is left for the next time.
    pub(crate) fn follow(
        &mut self,
        plane: &impl Plane,
        wanted: &Wanted,
        needed: bool,
    ) -> Result<(), PlaneError> {
        let wanted = if needed { all(wanted) } else { BTreeSet::new() };
        let mut noted = match self.noted.take() {
            Some(noted) => noted,
            None => plane.known_real_servers()?.into_iter().collect(),
        };
        let changes: Vec<_> = noted.symmetric_difference(&wanted).copied().collect();
        let mut outcome = Ok(());
        for key in changes {
            let is_there = wanted.contains(&key);
            outcome = plane.set_real_server(key, is_there);
            if outcome.is_err() {
                break;
            }
            if is_there {
                noted.insert(key);
            } else {
                noted.remove(&key);
            }
        }
        self.noted = Some(noted);
        outcome
    }
}

fn all(wanted: &Wanted) -> BTreeSet<RealServerKey> {
    let of_service = |service: &WantedService| {
        let key = service.service().key;
        let list = service.destinations().copied();
        list.filter_map(|destination| key_of(&key, &destination))
            .collect::<Vec<_>>()
    };
    wanted.services().flat_map(of_service).collect()
}

/// Where a destination of VS/NAT takes connections; `None` for others, and where it may be any port.
fn key_of(service: &ServiceKey, destination: &Destination) -> Option<RealServerKey> {
    let (address, port) = (destination.key.address, destination.key.port);
    if destination.forwarding != Forwarding::Masq || port == 0 {
        return None;
    }
    let protocol = match service {
        ServiceKey::Address { protocol, .. } => protocol.number(),
        ServiceKey::Mark { .. } => 0,
    };
    Some(RealServerKey {
        address: words::of(address),
        service: ServiceCell::key(port.to_be(), protocol, address.is_ipv6()),
    })
}
