//! What a received packet must be before the state machine hears of it (RFC 9568, section 7.1;
//! RFC 3768, section 7.1).

use std::net::IpAddr;
use std::time::Duration;

use crate::advert::{Advert, Credential, Malformed, Version};
use crate::datagram::{Datagram, PROTOCOL_AH, PROTOCOL_VRRP};
use crate::machine::Heard;
use crate::settings::{Authentication, OWNER, Peers, Settings};
use crate::time::Now;
use crate::trailer::{Context, Stamps};
use crate::{ah, trailer};

/// Why a packet was not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It came over a router, or pretends not to.
    #[error("its hop limit is {0}, which a packet of this link does not have")]
    HopLimit(u8),
    /// Its sender is none of the peers.
    #[error("its sender is none of the unicast peers")]
    Stranger,
    /// The message is not readable.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// The message is of the other version.
    #[error("it is of the other version of VRRP")]
    Version,
    /// Bytes follow that do not belong to the message.
    #[error("{0} bytes follow the advert")]
    Trailing(usize),
    /// Its authentication is of another kind.
    #[error("its authentication is of another kind than ours")]
    AuthenticationKind,
    /// Its password is another.
    #[error("its password is another than ours")]
    Password,
    /// Its Authentication Header is not accepted.
    #[error(transparent)]
    AuthenticationHeader(#[from] ah::Refused),
    /// Its `auth_hmac` trailer is not accepted.
    #[error(transparent)]
    Hmac(#[from] trailer::Refused),
    /// Version 2's intervals must be equal on all routers.
    #[error("its interval is {0:?}, and version 2 wants that all have the same")]
    Interval(Duration),
    /// Its addresses are not ours.
    #[error("its addresses are not those configured here")]
    Addresses,
}

/// What of earlier packets is remembered.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    /// The stamps of `auth_hmac`.
    pub stamps: Stamps,
    /// The highest sequence number in an Authentication Header.
    pub sequence: u32,
}

/// Checks a packet for this virtual router.
pub(crate) fn accept(
    settings: &Settings,
    memory: &mut Memory,
    datagram: &Datagram,
    now: Now,
) -> Result<Heard, Refusal> {
    check_way(&settings.peers, datagram)?;
    let (source, destination) = (datagram.source(), datagram.destination());
    let (message, sequence) = authenticated(settings.authentication, datagram)?;
    let (advert, behind) = Advert::decode(message, source, destination)?;
    if advert.version != settings.version {
        return Err(Refusal::Version);
    }
    check_credential(settings.authentication, advert.credential)?;
    match &settings.hmacs {
        Some(hmacs) => {
            let context = context(settings, source);
            memory.stamps.verify(hmacs, context, message, behind, now)?;
        }
        None if !behind.is_empty() => return Err(Refusal::Trailing(behind.len())),
        None => {}
    }
    if advert.version == Version::V2 && advert.interval != settings.interval {
        return Err(Refusal::Interval(advert.interval));
    }
    // The owner's adverts are accepted with whatever addresses (RFC 3768, section 7.1).
    if settings.checks_addresses && advert.priority != OWNER && !same(&advert, settings) {
        return Err(Refusal::Addresses);
    }
    memory.sequence = memory.sequence.max(sequence);
    Ok(Heard {
        source,
        priority: advert.priority,
        interval: advert.interval,
    })
}

/// What an `auth_hmac` trailer from this sender is bound to.
pub(crate) fn context(settings: &Settings, source: IpAddr) -> Context {
    Context {
        version: settings.version,
        virtual_router: settings.virtual_router,
        source,
    }
}

/// Whether it came by a way that adverts come by.
fn check_way(peers: &Peers, datagram: &Datagram) -> Result<(), Refusal> {
    let hop_limit = datagram.hop_limit();
    match peers {
        Peers::Multicast(_) if hop_limit != 255 => Err(Refusal::HopLimit(hop_limit)),
        Peers::Multicast(_) => Ok(()),
        Peers::Unicast {
            peers,
            only,
            hop_limits,
            ..
        } => {
            let source = datagram.source();
            if *only && !peers.contains(&source) {
                return Err(Refusal::Stranger);
            }
            match hop_limits.get(&source) {
                Some(range) if !range.contains(&hop_limit) => Err(Refusal::HopLimit(hop_limit)),
                _ => Ok(()),
            }
        }
    }
}

/// The message, and the sequence number of its Authentication Header.
fn authenticated(
    authentication: Authentication,
    datagram: &Datagram,
) -> Result<(&[u8], u32), Refusal> {
    match (authentication, datagram.protocol()) {
        (Authentication::AuthenticationHeader(key), PROTOCOL_AH) => Ok(ah::open(&key, datagram)?),
        (Authentication::AuthenticationHeader(_), _) => Err(ah::Refused::Missing.into()),
        (_, PROTOCOL_VRRP) => Ok((datagram.payload(), 0)),
        _ => Err(Refusal::AuthenticationKind),
    }
}

fn check_credential(ours: Authentication, theirs: Credential) -> Result<(), Refusal> {
    match (ours, theirs) {
        (Authentication::None, Credential::None)
        | (Authentication::AuthenticationHeader(_), Credential::AuthenticationHeader) => Ok(()),
        (Authentication::Password(ours), Credential::Password(theirs)) if ours == theirs => Ok(()),
        (Authentication::Password(_), Credential::Password(_)) => Err(Refusal::Password),
        _ => Err(Refusal::AuthenticationKind),
    }
}

/// Whether an advert tells our addresses, in whatever order.
fn same(advert: &Advert, settings: &Settings) -> bool {
    let ours = &settings.addresses;
    advert.addresses.len() == ours.len()
        && ours
            .iter()
            .all(|address| advert.addresses.contains(address))
}
