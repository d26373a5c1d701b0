//! The ways to real servers, for checks that make their own frames.

use std::net::IpAddr;

use health_host::{NoWay, Way, Ways};
use net::NextHop;

use crate::serve::shared::Shared;

impl Ways for Shared {
    fn towards(&self, real_server: IpAddr) -> Result<Way, NoWay> {
        let state = self.lock();
        let none = |why: &str| NoWay::None(why.to_owned());
        let (interface, source, destination) = match state.snapshot.next_hop(real_server) {
            NextHop::Resolved {
                ifindex,
                source,
                destination,
                ..
            } => (ifindex, source.octets(), destination.octets()),
            NextHop::Unresolved { .. } | NextHop::Failed { .. } => return Err(NoWay::Unresolved),
            NextHop::NoLinkLayer { .. } => return Err(none("the way has no Ethernet addresses")),
            NextHop::LinkDown { .. } => return Err(none("the interface is down")),
            NextHop::Local => return Err(none("it is this host itself")),
            NextHop::NoRoute => return Err(none("there is no route to it")),
        };
        let address = state.snapshot.source_towards(real_server);
        Ok(Way {
            interface,
            source,
            destination,
            address: address.ok_or_else(|| none("this host has no address towards it"))?,
        })
    }
}
