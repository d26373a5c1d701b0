//! Maglev hashing as its paper has it: "Maglev: A Fast and Reliable Software Network Load Balancer"
//! (NSDI 2016), section 3.4, with 65,537 slots and weights.
//!
//! Directors that were given the same destinations choose the same one for a client's address and
//! port, without a word between them: the table depends on the destinations' addresses, ports and
//! weights alone, not on the order in which they were added, and the hashes have no seed.
//!
//! Of mh it differs in that: the kernel's table is smaller, depends on the list's order, and adds
//! the port to the address before hashing, so that neighbouring clients share slots.
//!
//! # Who moves
//!
//! A client moves when its slot changes hands. When one of N equal destinations leaves, 1/N of the
//! clients have to move; when it comes, 1/N have to move to it. Those that move though they need
//! not, measured over 16 pools each (a test holds the numbers):
//!
//! | destinations of weight 1, and one leaves or comes | 2 | 3 | 10 | 100 | 1,000 |
//! |---|---|---|---|---|---|
//! | clients that have to move | 50 % | 33.3 % | 10 % | 1 % | 0.1 % |
//! | clients that move besides | 0 | 0.03 % | 0.24 % | 0.57 % | 0.58 % |
//!
//! | 10 destinations of weight 10, and one changes to | 9 | 5 | 1 | 20 |
//! |---|---|---|---|---|
//! | clients that move between the other nine | 0.09 % | 0.17 % | 0.21 % | 0.17 % |

#[cfg(feature = "alloc")]
use alloc::vec::Vec;

use crate::address::Address;
use crate::hash::SipHash;
#[cfg(feature = "alloc")]
use crate::preference::{FREE, Preference};

/// Slots of a table, a prime.
pub const SLOTS: u32 = 65_537;

/// Keys of the hashes: digits of pi, the same on every director and in every release.
const CLIENT_KEY: [u64; 2] = [0x243f_6a88_85a3_08d3, 0x1319_8a2e_0370_7344];
#[cfg(feature = "alloc")]
const OFFSET_KEY: [u64; 2] = [0xa409_3822_299f_31d0, 0x082e_fa98_ec4e_6c89];
#[cfg(feature = "alloc")]
const SKIP_KEY: [u64; 2] = [0x4528_21e6_38d0_1377, 0xbe54_66cf_34e9_0c6c];

/// SipHash-1-3 of an address, a port (network order) and a number: 20 bytes, little-endian.
#[inline(always)]
const fn hash(address: Address, port: u16, number: u16, key: [u64; 2]) -> u64 {
    let [a, b, c, d] = address.host_words();
    let last = (number as u64) << 16 | u16::from_be(port) as u64;
    SipHash::new(key)
        .block((b as u64) << 32 | a as u64)
        .block((d as u64) << 32 | c as u64)
        .finish(last, 20)
}

/// The slot of a client's connection, below [`SLOTS`]. `port` is the client's, in network order.
///
/// Attempt 0 is the connection's own slot; where its destination may not take a connection
/// (overloaded), further attempts give other slots, independent of the first.
#[inline(always)]
pub const fn slot(client: Address, port: u16, attempt: u16) -> u32 {
    (hash(client, port, attempt, CLIENT_KEY) % SLOTS as u64) as u32
}

/// A destination as the table's layout sees it.
#[cfg(feature = "alloc")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Member {
    /// Its address.
    pub address: Address,
    /// Its port, in network order.
    pub port: u16,
    /// Its weight. With 0 it has no slots.
    pub weight: u32,
}

/// A destination that claims slots.
#[cfg(feature = "alloc")]
struct Claimant {
    index: u32,
    order: Preference,
    weight: u64,
    /// What it has saved for its next slot, which costs the greatest weight.
    saved: u64,
}

/// The table of a service with these destinations: an index into `members` for each slot, or
/// nothing where no weight is above 0. The order of `members` does not matter.
///
/// They claim their slots by turns. The heaviest has one in every round, one of half its weight in
/// every second; everyone has one in the first. To be laid out anew when a destination comes, goes
/// or changes its weight.
#[cfg(feature = "alloc")]
pub fn fill(members: &[Member]) -> Vec<u32> {
    let cost = members
        .iter()
        .map(|m| u64::from(m.weight))
        .max()
        .unwrap_or(0);
    if cost == 0 {
        return Vec::new();
    }
    let mut claimants = claimants(members, cost);
    let mut table = alloc::vec![FREE; SLOTS as usize];
    let mut free = SLOTS;
    loop {
        for claimant in &mut claimants {
            claimant.saved += claimant.weight;
            if claimant.saved < cost {
                continue;
            }
            claimant.saved -= cost;
            claimant.order.claim(&mut table, claimant.index);
            free -= 1;
            if free == 0 {
                return table;
            }
        }
    }
}

/// Those with a weight, in an order that every director agrees on.
#[cfg(feature = "alloc")]
fn claimants(members: &[Member], cost: u64) -> Vec<Claimant> {
    let mut in_order: Vec<(u32, &Member)> =
        (0..).zip(members).filter(|(_, m)| m.weight > 0).collect();
    in_order.sort_by_key(|(_, m)| (m.address.host_words(), u16::from_be(m.port)));
    in_order
        .into_iter()
        .map(|(index, member)| {
            let by = |key| hash(member.address, member.port, 0, key);
            let weight = u64::from(member.weight);
            Claimant {
                index,
                order: Preference::new(by(OFFSET_KEY), by(SKIP_KEY), SLOTS),
                weight,
                saved: cost - weight,
            }
        })
        .collect()
}
