//! What a router is told, and what it wants done.

use std::net::IpAddr;

use crate::datagram::Datagram;
use crate::instance::Link;
use crate::machine::State;
use crate::reception::Refusal;
use crate::status::Transition;
use crate::track::Reading;

/// Virtual routers that are master together, or not at all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// Its name.
    pub name: String,
    /// Its instances' names.
    pub members: Vec<String>,
}

/// What a router is told.
#[derive(Debug, Clone)]
pub enum Input<'a> {
    /// Begin.
    Start,
    /// Cease: masters say so.
    Stop,
    /// A packet came through this interface.
    Received {
        /// The interface's name.
        interface: &'a str,
        /// The packet.
        datagram: &'a Datagram,
    },
    /// An instance's interface changed.
    Link {
        /// The instance.
        instance: &'a str,
        /// What it is now.
        link: Link,
    },
    /// Something tracked was looked at.
    Reading {
        /// Its name.
        tracked: &'a str,
        /// What it is now.
        reading: Reading,
    },
    /// The time of [`Router::next_timeout`](crate::Router::next_timeout) has come.
    Timeout,
}

/// What is to be done, in this order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// Send an advert through the instance's interface.
    Send {
        /// The instance.
        instance: String,
        /// The packet.
        datagram: Datagram,
    },
    /// Add the instance's addresses and routes.
    Hold {
        /// The instance.
        instance: String,
    },
    /// Remove the instance's addresses and routes.
    Release {
        /// The instance.
        instance: String,
    },
    /// Tell the neighbours whose the instance's addresses are.
    Announce {
        /// The instance.
        instance: String,
        /// How often each address.
        rounds: u32,
    },
    /// Tell the neighbours, once, on the interfaces of the instance's addresses that adverts do not go
    /// through.
    AnnounceElsewhere {
        /// The instance.
        instance: String,
    },
    /// The instance's state changed: notify.
    Changed {
        /// The instance.
        instance: String,
        /// Its priority now.
        priority: u8,
        /// How and why.
        transition: Transition,
    },
    /// A sync group's state changed: notify.
    GroupChanged {
        /// The group.
        group: String,
        /// Its state now.
        state: State,
    },
    /// The instance's priority changed.
    PriorityChanged {
        /// The instance.
        instance: String,
        /// Its state.
        state: State,
        /// Its priority now.
        priority: u8,
    },
    /// The instance is master and heard another one of lower priority.
    HeardLower {
        /// The instance.
        instance: String,
        /// Its priority.
        priority: u8,
    },
    /// An advert came of a virtual router that is not configured on this interface.
    Unknown {
        /// The interface.
        interface: String,
        /// Who sent it.
        source: IpAddr,
        /// The virtual router's number.
        virtual_router: u8,
    },
    /// The instance refused a packet, for another reason than the last one.
    Refused {
        /// The instance.
        instance: String,
        /// Who sent it.
        source: IpAddr,
        /// Why.
        refusal: Refusal,
    },
}
