//! The tunnel's checksum, and the inner transport's.
//!
//! A packet that has not crossed a wire yet may come with a checksum still open, for the network device
//! that it did not meet: the inner transport's, or UDP's of the tunnel. Its field then holds the sum of the
//! pseudo-header, not inverted, and a checksum around it is right for the packet as it will be.

use wire::checksum::{fold, of_valid_transport};

use crate::inner::Inner;
use crate::outer::Outer;
use crate::{Checksum, Host, Outcome, Tunnel};

/// What a sum over a checksum and all that it covers is, if it is right.
const RIGHT: u16 = 0xffff;

/// Refuses a packet if the tunnel's checksum is wrong.
#[inline(always)]
pub(crate) fn check<H: Host>(
    host: &H,
    outer: &Outer,
    tunnel: &Tunnel,
    inner: &Inner,
) -> Result<(), Outcome> {
    let Some(checksum) = tunnel.checksum else {
        return Ok(());
    };
    if host.is_joined() || is_open(&checksum) {
        return Ok(());
    }
    let length = outer.end - checksum.start;
    let sum = host.sum(checksum.start, length).ok_or(Outcome::TooLong)?;
    let is_right = fold(fold(checksum.pseudo) as u32 + sum as u32) == RIGHT;
    if is_right || is_right_but_open_inside(host, &checksum, inner) {
        Ok(())
    } else {
        Err(Outcome::Checksum)
    }
}

/// Whether the tunnel's own checksum was left open.
#[inline(always)]
fn is_open(checksum: &Checksum) -> bool {
    checksum.field == Some(fold(checksum.pseudo))
}

/// Whether the tunnel's checksum is right for a packet whose transport checksum was left open.
#[inline(always)]
fn is_right_but_open_inside<H: Host>(host: &H, checksum: &Checksum, inner: &Inner) -> bool {
    let Some((transport, pseudo)) = inner.open_transport(host) else {
        return false;
    };
    let Some(headers) = host.sum(checksum.start, transport - checksum.start) else {
        return false;
    };
    let inside = of_valid_transport(pseudo) as u32;
    fold(fold(checksum.pseudo) as u32 + headers as u32 + inside) == RIGHT
}

/// Refuses a packet whose checksum was left to us, if it lies beyond the packet.
#[inline(always)]
pub(crate) fn check_remote(tunnel: &Tunnel, inner: &Inner) -> Result<(), Outcome> {
    match tunnel.remote {
        Some(remote)
            if inner.start + remote.start > inner.end
                || inner.start + remote.field + 2 > inner.end =>
        {
            Err(Outcome::Malformed)
        }
        _ => Ok(()),
    }
}

/// Does what the sender left to be done by remote checksum offload: sums up the inner packet from where
/// it says on, and puts the checksum where it says.
#[inline(always)]
pub(crate) fn finish<H: Host>(host: &mut H, tunnel: &Tunnel, inner: &Inner) -> Result<(), Outcome> {
    let Some(remote) = tunnel.remote else {
        return Ok(());
    };
    // Each of them would want a checksum of its own; the kernel marks them as open as they are.
    if host.is_joined() {
        return Ok(());
    }
    let start = inner.start + remote.start;
    let sum = host.sum(start, inner.end - start).ok_or(Outcome::TooLong)?;
    host.set_bytes(inner.start + remote.field, &(!sum).to_ne_bytes())
        .ok_or(Outcome::Refused)
}
