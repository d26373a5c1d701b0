//! The hash functions of the tables. Both sides must agree on them.
//!
//! All are made of multiplications of 64 bits, as few as mix what they are given: a packet waits for
//! its hash before it waits for memory. A multiplication carries each bit to all above it; the upper
//! half of a product, folded onto the lower, is multiplied once more, and the upper half of that is
//! the hash.

/// 2^64 over the golden ratio: Knuth's multiplier, which spreads what lies close together.
const FIRST: u64 = 0x9e37_79b9_7f4a_7c15;
/// An odd number of as many ones as zeros, found to mix well by others (Degski's mixer).
const SECOND: u64 = 0xd6e8_feb8_6659_fd93;

/// Every bit of `h` reaches every bit of the result's upper half.
#[inline(always)]
const fn mix(h: u64) -> u64 {
    let h = h.wrapping_mul(FIRST);
    (h ^ h >> 32).wrapping_mul(SECOND)
}

/// Both halves in one: the upper, which more bits have reached, evens out the lower.
#[inline(always)]
const fn fold(h: u64) -> u32 {
    (h ^ h >> 32) as u32
}

/// Two words in one.
#[inline(always)]
const fn pair(high: u32, low: u32) -> u64 {
    (high as u64) << 32 | low as u64
}

/// Hash of an IPv4 address (as read from the packet, without byte swapping).
#[inline(always)]
pub const fn hash_address(address: u32) -> u32 {
    fold(mix(address as u64))
}

/// What is hashed so far, and 64 bits more.
#[inline(always)]
const fn and(h: u64, more: u64) -> u64 {
    (h ^ h >> 32).wrapping_add(more)
}

/// An IPv6 address and a word in one, to be mixed.
#[inline(always)]
const fn mixed(address: [u32; 4], word: u32) -> u64 {
    let first = mix(pair(address[0] ^ word, address[1] ^ word));
    and(first, pair(address[2], address[3]))
}

/// Hash of an IPv6 address, in words as read from the packet.
#[inline(always)]
pub const fn hash_address_v6(address: [u32; 4]) -> u32 {
    fold(mix(mixed(address, 0)))
}

/// Hash of a virtual service's address (IPv4: first word only) and key.
#[inline(always)]
pub const fn hash_service(address: [u32; 4], key: u32) -> u32 {
    fold(mix(mixed(address, key)))
}

/// Hash of a connection: the client's side only, as in IPVS, so that both directions of a
/// translated connection meet in one bucket. `seed` is chosen at start, so that nobody outside can
/// aim at one bucket.
#[inline(always)]
pub const fn hash_connection(client: u32, port: u16, protocol: u8, seed: u32) -> u32 {
    let rest = (port as u32) << 8 | protocol as u32;
    fold(mix(((client ^ seed) as u64) << 24 | rest as u64))
}

/// As [`hash_connection`], of an IPv6 client.
#[inline(always)]
pub const fn hash_connection_v6(client: [u32; 4], port: u16, protocol: u8, seed: u32) -> u32 {
    let rest = (port as u32) << 8 | protocol as u32;
    fold(mix(and(mix(mixed(client, seed)), rest as u64)))
}

#[cfg(test)]
mod tests {
    extern crate std;

    use std::vec;
    use std::vec::Vec;

    use super::*;

    const SEEDS: [u32; 4] = [0, 1, 0x8000_0000, 0x2545_f491];
    const FIRST_CLIENT: u32 = u32::from_be_bytes([198, 18, 0, 0]);

    /// Chi-square over its degrees of freedom: near 1 where places come as by chance.
    fn unevenness(places: impl Iterator<Item = u32>, size: usize) -> f64 {
        let mut counts = vec![0u32; size];
        for place in places {
            counts[place as usize] += 1;
        }
        let expected = f64::from(counts.iter().sum::<u32>()) / size as f64;
        let sum: f64 = counts
            .iter()
            .map(|&count| (f64::from(count) - expected).powi(2) / expected)
            .sum();
        sum / (size - 1) as f64
    }

    /// Of 2^16 buckets and 8 places to begin at, as the connection table takes them from a hash.
    fn assert_even(what: &str, hashes: &[u32]) {
        let buckets = unevenness(hashes.iter().map(|hash| hash >> 16), 1 << 16);
        let begins = unevenness(hashes.iter().map(|hash| hash & 7), 8);
        for (name, unevenness, size) in [("buckets", buckets, 1 << 16), ("places", begins, 8)] {
            // Five standard deviations of what chance gives.
            let chance = 1.0 + 5.0 * (2.0 / f64::from(size - 1)).sqrt();
            assert!(unevenness < chance, "{what}: {name}: {unevenness}");
        }
    }

    /// Clients as they come: many of one network, or one with all of its ports.
    #[test]
    fn connections_spread_as_by_chance() {
        for seed in SEEDS {
            let client = |number: u32| (FIRST_CLIENT + number).to_be();
            let v6 = |number: u32| [0x0120, 0, 0, number.to_be()];
            let networks: Vec<u32> = (0..1 << 19)
                .map(|n| hash_connection(client(n >> 3), (1024 + (n & 7) as u16).to_be(), 6, seed))
                .collect();
            assert_even("IPv4, many clients", &networks);
            let ports: Vec<u32> = (0..1 << 19)
                .map(|n| hash_connection(client(n >> 16), (n as u16).to_be(), 17, seed))
                .collect();
            assert_even("IPv4, all ports", &ports);
            let networks: Vec<u32> = (0..1 << 19)
                .map(|n| hash_connection_v6(v6(n >> 3), (1024 + (n & 7) as u16).to_be(), 6, seed))
                .collect();
            assert_even("IPv6, many clients", &networks);
            let ports: Vec<u32> = (0..1 << 19)
                .map(|n| hash_connection_v6(v6(n >> 16), (n as u16).to_be(), 17, seed))
                .collect();
            assert_even("IPv6, all ports", &ports);
        }
    }

    /// Avalanche: whichever bit of the key changes, each bit of the hash does in a fifth to four
    /// fifths of all cases.
    #[test]
    fn every_bit_of_a_key_reaches_every_bit_of_its_hash() {
        const KEYS: u32 = 4096;
        let keys = (0..KEYS).map(|n| (n.wrapping_mul(0x2c1b_3c6d), (n * 13) as u16));
        let hash = |client: u32, port: u16, seed: u32| hash_connection(client, port, 6, seed);
        let v6 = |client: [u32; 4], port: u16| hash_connection_v6(client, port, 6, 7);
        for bit in 0..32 {
            let flip = 1 << bit;
            let half = (flip as u16, flip as u16 != 0);
            let mut flips = [[0u32; 32]; 8];
            for (client, port) in keys.clone() {
                let address = [client, client.rotate_left(7), !client, client ^ 0x5555];
                let mut note = |which: usize, changed: u32| {
                    for (place, flips) in flips[which].iter_mut().enumerate() {
                        *flips += changed >> place & 1;
                    }
                };
                note(0, hash(client, port, 7) ^ hash(client ^ flip, port, 7));
                note(1, hash(client, port, 7) ^ hash(client, port, 7 ^ flip));
                if half.1 {
                    note(2, hash(client, port, 7) ^ hash(client, port ^ half.0, 7));
                    note(3, v6(address, port) ^ v6(address, port ^ half.0));
                }
                for word in 0..4 {
                    let mut other = address;
                    other[word] ^= flip;
                    note(4 + word, v6(address, port) ^ v6(other, port));
                }
            }
            for (which, flips) in flips.iter().enumerate() {
                if !half.1 && (which == 2 || which == 3) {
                    continue;
                }
                for (place, &flips) in flips.iter().enumerate() {
                    let share = f64::from(flips) / f64::from(KEYS);
                    assert!(
                        (0.2..=0.8).contains(&share),
                        "key part {which}, bit {bit}: bit {place} changes in {share} of all cases"
                    );
                }
            }
        }
    }
}
