//! Who takes packets before the host's own stack does.

use std::net::IpAddr;

/// Takes packets to virtual addresses before the host's own stack does, which would answer them with
/// errors. It is told ahead, so that there is no moment in which the stack has the address to itself.
pub trait Forwarding: Send + Sync + 'static {
    /// These addresses are about to be held here. Returns when packets to them are taken.
    fn claim(&self, addresses: &[IpAddr]);

    /// These addresses are not held here any more.
    fn release(&self, addresses: &[IpAddr]);
}

/// A host whose packets go to its own stack.
impl Forwarding for () {
    fn claim(&self, _: &[IpAddr]) {}

    fn release(&self, _: &[IpAddr]) {}
}
