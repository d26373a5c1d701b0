//! Maglev hashing as IPVS has it, mh (`ip_vs_mh.c`): the client's address decides, and with the
//! flag mh-port its port too.
//!
//! Unlike sh, few clients change their destination when one comes or goes. Where a slot's
//! destination may not take a connection, nobody does, or with the flag mh-fallback others are
//! tried, by [`fallback_slot`].
//!
//! The choice is that of a 64-bit kernel with the table size that distributions build
//! (`IP_VS_MH_TAB_INDEX` 12); it does not depend on the director.

#[cfg(feature = "alloc")]
use alloc::vec::Vec;

use crate::address::Address;
use crate::hash::SipHash;
#[cfg(feature = "alloc")]
use crate::preference::{FREE, Preference};

/// Slots of a table, a prime.
pub const SLOTS: u32 = 4093;

/// Bits that the longest turn may have (`IP_VS_MH_TAB_BITS`).
#[cfg(feature = "alloc")]
const TURN_BITS: u32 = 6;

const OFFSET_KEY: u64 = 2_654_435_761;
#[cfg(feature = "alloc")]
const SKIP_KEY: u64 = 2_654_446_892;

/// The kernel's `hsiphash` of an address and a port (network order), as `ip_vs_mh_hashkey` asks
/// for it.
#[inline(always)]
const fn hash(address: Address, port: u16, offset: u32, key: u64) -> u32 {
    let value = offset
        .wrapping_add(u16::from_be(port) as u32)
        .wrapping_add(address.fold());
    SipHash::new([key, key]).finish(value as u64, 4) as u32
}

/// The slot of a client's connection, below [`SLOTS`]. `port` is in network order: the client's
/// with mh-port, else 0, as it is for protocols without ports.
#[inline(always)]
pub const fn slot(client: Address, port: u16) -> u32 {
    hash(client, port, 0, OFFSET_KEY) % SLOTS
}

/// The slot to try next where the destination at the connection's own slot, `first`, may not take
/// it. `attempt` counts from 0; the kernel ends below [`SLOTS`].
///
/// Attempts hash anew each time, so that a few dozen find somebody as well as all would, unless
/// nearly nobody takes connections.
#[inline(always)]
pub const fn fallback_slot(client: Address, port: u16, first: u32, attempt: u32) -> u32 {
    let offset = first.wrapping_add(attempt) % SLOTS;
    hash(client, port, offset, OFFSET_KEY) % SLOTS
}

/// A destination as the table's layout sees it.
#[cfg(feature = "alloc")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Member {
    /// Its address.
    pub address: Address,
    /// Its port, in network order.
    pub port: u16,
    /// The weight above 0 that it had last. A destination that is set to 0 keeps its slots, so
    /// that nobody else's clients move; 0 where it never had another.
    pub last_weight: u32,
}

/// The table of a service with these destinations in list order: an index into the list for each
/// slot, or nothing where no weight is above 0.
///
/// To be laid out anew when a destination comes, goes or changes its weight.
#[cfg(feature = "alloc")]
pub fn fill(members: &[Member]) -> Vec<u32> {
    let turns = turns(members);
    let mut orders: Vec<(u32, u32, Preference)> = (0..)
        .zip(members)
        .zip(turns)
        .filter(|&(_, turn)| turn > 0)
        .map(|((index, member), turn)| (index, turn, preference(member)))
        .collect();
    if orders.is_empty() {
        return Vec::new();
    }
    let mut table = alloc::vec![FREE; SLOTS as usize];
    let mut free = SLOTS;
    loop {
        for (index, turn, order) in &mut orders {
            for _ in 0..*turn {
                order.claim(&mut table, *index);
                free -= 1;
                if free == 0 {
                    return table;
                }
            }
        }
    }
}

#[cfg(feature = "alloc")]
fn preference(member: &Member) -> Preference {
    let by = |key| u64::from(hash(member.address, member.port, 0, key));
    Preference::new(by(OFFSET_KEY), by(SKIP_KEY), SLOTS)
}

/// How many slots each takes in a round: its weight by the weights' greatest common divisor,
/// shifted so that the greatest has [`TURN_BITS`] bits at most.
#[cfg(feature = "alloc")]
fn turns(members: &[Member]) -> Vec<u32> {
    let weights = || members.iter().map(|member| member.last_weight);
    let divisor = weights().fold(0, crate::gcd).max(1);
    let greatest = weights().max().unwrap_or(0) / divisor;
    let bits = u32::BITS - greatest.leading_zeros();
    let shift = bits.saturating_sub(TURN_BITS);
    weights()
        .map(|weight| ((weight / divisor) >> shift).max(u32::from(weight != 0)))
        .collect()
}

#[cfg(all(test, feature = "alloc"))]
mod tests {
    use super::*;

    fn members(weights: &[u32]) -> Vec<Member> {
        (0u32..)
            .zip(weights)
            .map(|(n, &last_weight)| Member {
                address: Address::v4((0x0a00_0001 + n).to_be()),
                port: 80u16.to_be(),
                last_weight,
            })
            .collect()
    }

    #[test]
    fn turns_keep_the_weights_proportions_within_six_bits() {
        assert_eq!(turns(&members(&[10, 20, 30])), [1, 2, 3]);
        assert_eq!(turns(&members(&[63, 1])), [63, 1]);
        assert_eq!(turns(&members(&[64, 1, 0])), [32, 1, 0]);
        assert_eq!(turns(&members(&[i32::MAX as u32, 2])), [63, 1]);
    }

    #[test]
    fn every_slot_belongs_to_a_destination_with_a_weight() {
        let table = fill(&members(&[3, 0, 1]));
        let count = |index| table.iter().filter(|&&i| i == index).count();
        assert_eq!((table.len(), count(1)), (SLOTS as usize, 0));
        assert_eq!(count(0) + count(2), SLOTS as usize);
        assert!(
            count(0).abs_diff(3 * count(2)) <= 4,
            "{} to {}",
            count(0),
            count(2)
        );
    }

    #[test]
    fn without_a_weight_there_is_no_table() {
        assert_eq!(fill(&members(&[0, 0])), []);
        assert_eq!(fill(&[]), []);
    }
}
