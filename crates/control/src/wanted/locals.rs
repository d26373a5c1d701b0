//! Services' local addresses: what real servers under FULLNAT see instead of clients'.

use std::net::IpAddr;

use model::{Refusal, ServiceKey};

use crate::wanted::checks::is_host;
use crate::wanted::{Effect, Wanted, WantedService};

impl WantedService {
    /// Its local addresses, in the order in which they were added.
    pub fn local_addresses(&self) -> &[IpAddr] {
        &self.locals
    }
}

impl Wanted {
    pub(super) fn add_local_address(
        &mut self,
        service: &ServiceKey,
        address: IpAddr,
    ) -> Result<Effect, Refusal> {
        let wanted = self.service_mut(service).ok_or(Refusal::NoSuchService)?;
        if !is_host(address) {
            return Err(Refusal::Invalid);
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
