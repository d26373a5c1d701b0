//! The bits of the BPF program's tables, which user space fills.

/// Of an address: it is one of this host's.
pub const OWN: u32 = 1;
/// Of an address: packets to it are taken out of their tunnels.
pub const VIRTUAL: u32 = 2;

/// Of the settings' first word: IP in IP ends here. The second word is GUE's port, in host order.
pub const IPIP: u32 = 1;
/// Of the settings' first word: GRE ends here.
pub const GRE: u32 = 2;
