//! Labs on the real kernel, with nftables in the director's place: a peer that is not ours. Needs root.

mod ending;
mod running;
mod support;
