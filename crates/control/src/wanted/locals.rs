//! Services' local addresses: what real servers under FULLNAT see instead of clients'.

use std::net::IpAddr;

use model::{Family, Forwarding, Refusal, ServiceKey};

use crate::wanted::checks::is_host;
use crate::wanted::{Effect, Wanted, WantedService};

impl WantedService {
    /// Its local addresses, in the order in which they were added.
    pub fn local_addresses(&self) -> &[IpAddr] {
        &self.locals
    }

    /// Whether a local address is of use: a real server under FULLNAT is of its family, or none is
    /// there yet.
    fn may_use(&self, address: IpAddr) -> bool {
        let mut servers = self
            .destinations()
            .filter(|server| server.forwarding == Forwarding::FullNat)
            .map(|server| Family::of(server.key.address))
            .peekable();
        servers.peek().is_none() || servers.any(|family| family == Family::of(address))
    }
}

impl Wanted {
    pub(super) fn add_local_address(
        &mut self,
        service: &ServiceKey,
        address: IpAddr,
    ) -> Result<Effect, Refusal> {
        let is_virtual = self.services().any(|wanted| match wanted.service.key {
            ServiceKey::Address { address: own, .. } => own == address,
            ServiceKey::Mark { .. } => false,
        });
        let wanted = self.service_mut(service).ok_or(Refusal::NoSuchService)?;
        if !is_host(address) || address.is_loopback() || is_virtual {
            return Err(Refusal::LocalAddressTaken);
        }
        if !wanted.may_use(address) {
            return Err(Refusal::LocalAddressUseless);
        }
        if wanted.locals.contains(&address) {
            return Err(Refusal::LocalAddressExists);
        }
        wanted.locals.push(address);
        Ok(Effect::LocalAddressAdded {
            service: *service,
            address,
        })
    }

    pub(super) fn delete_local_address(
        &mut self,
        service: &ServiceKey,
        address: IpAddr,
    ) -> Result<Effect, Refusal> {
        let wanted = self.service_mut(service).ok_or(Refusal::NoSuchService)?;
        let place = wanted.locals.iter().position(|&local| local == address);
        wanted
            .locals
            .remove(place.ok_or(Refusal::NoSuchLocalAddress)?);
        Ok(Effect::LocalAddressRemoved {
            service: *service,
            address,
        })
    }
}
