//! The real server's end of VS/TUN: takes packets out of their tunnels.
//!
//! [`decapsulate`] is written once, generic over the packet's [`Host`], and compiled twice: to BPF,
//! where it runs at the interface, and natively, where it is tested. A packet is taken out if it is
//! addressed to this host, is in a tunnel that is switched on, and carries a packet to a virtual
//! address. Whatever is not is left to the host's own network stack, untouched.
//!
//! | tunnel | outer packet | checked |
//! |---|---|---|
//! | ipip | IP protocol 4 or 41 (RFC 2003, 2473, 4213) | |
//! | gre | IP protocol 47 (RFC 2784) | its checksum, if it has one |
//! | gue | UDP to the port of GUE, version 0 | UDP's checksum, if it has one |
//!
//! Outer and inner packet are of either family. Congestion marks of the outer header are carried
//! over (RFC 6040), and with GUE's remote checksum offload the inner checksum is put where it belongs,
//! both as the kernel's tunnels do it.
//!
//! Fragments of outer packets are left to the host: they would have to be put together first.
#![no_std]
#![forbid(unsafe_code)]

mod checksums;
mod gre;
mod gue;
mod host;
mod inner;
pub mod layout;
mod outcome;
mod outer;

pub use host::{Address, Family, Host, Settings, mapped};
pub use outcome::{Fate, OUTCOMES, Outcome};

use crate::inner::Inner;
use crate::outer::Outer;
use wire::{ecn, ipv4, ipv6};

/// The bytes between the outer IP header and the packet inside, read and understood.
#[derive(Clone, Copy)]
struct Tunnel {
    /// What it counts as.
    kind: Outcome,
    /// Where the inner packet begins, in bytes from the outer IP header on.
    inner: u32,
    /// Which family it says that the inner packet is of.
    family: Family,
    /// The checksum around the inner packet.
    checksum: Option<Checksum>,
    /// Where the inner transport's checksum is to be made, in bytes from the inner IP header on.
    remote: Option<Remote>,
}

/// A checksum that covers the inner packet.
#[derive(Clone, Copy)]
struct Checksum {
    /// Where what it covers begins; it ends with the packet.
    start: u32,
    /// The sum of what else it covers.
    pseudo: u32,
    /// The checksum's field where it may have been left open.
    field: Option<u16>,
}

/// GUE's remote checksum offload: what to sum up, and where the result goes.
#[derive(Clone, Copy)]
struct Remote {
    start: u32,
    field: u32,
}

/// Takes a packet out of its tunnel, if it is in one that ends here.
#[inline(always)]
pub fn decapsulate<H: Host>(host: &mut H) -> Outcome {
    match try_decapsulate(host) {
        Ok(outcome) | Err(outcome) => outcome,
    }
}

#[inline(always)]
fn try_decapsulate<H: Host>(host: &mut H) -> Result<Outcome, Outcome> {
    let settings = host.settings();
    let outer = Outer::read(host)?;
    let tunnel = match outer.protocol {
        ipv4::IPIP if settings.ipip => ipip(&outer, Family::Ipv4)?,
        ipv6::IPV6 if settings.ipip => ipip(&outer, Family::Ipv6)?,
        wire::gre::PROTOCOL if settings.gre => gre::read(host, &outer)?,
        ipv4::UDP if settings.gue_port != 0 => gue::read(host, &outer, settings.gue_port)?,
        _ => return Err(Outcome::Other),
    };
    if !host.is_own(outer.destination) {
        return Err(Outcome::NotOwn);
    }
    let inner = Inner::read(host, &outer, &tunnel)?;
    if !host.is_virtual(inner.destination) {
        return Err(Outcome::NotVirtual);
    }
    checksums::check_remote(&tunnel, &inner)?;
    checksums::check(host, &outer, &tunnel, &inner)?;
    let tos = ecn::decapsulated(outer.tos, inner.tos).ok_or(Outcome::Congestion)?;
    inner.set_tos(host, tos).ok_or(Outcome::Refused)?;
    checksums::finish(host, &tunnel, &inner)?;
    host.remove(tunnel.inner, outer.family, inner.family)
        .ok_or(Outcome::Refused)?;
    Ok(tunnel.kind)
}

#[inline(always)]
fn ipip(outer: &Outer, family: Family) -> Result<Tunnel, Outcome> {
    outer.is_whole()?;
    Ok(Tunnel {
        kind: Outcome::Ipip,
        inner: outer.header,
        family,
        checksum: None,
        remote: None,
    })
}
