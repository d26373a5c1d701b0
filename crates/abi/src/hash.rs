//! The hash functions of the tables. Both sides must agree on them.

const MULTIPLIER: u32 = 0x9e37_79b1;

/// The finishing steps of MurmurHash3: every input bit reaches every output bit.
#[inline(always)]
const fn finish(mut h: u32) -> u32 {
    h ^= h >> 16;
    h = h.wrapping_mul(0x85eb_ca6b);
    h ^= h >> 13;
    h = h.wrapping_mul(0xc2b2_ae35);
    h ^ (h >> 16)
}

/// Hash of an IPv4 address (as read from the packet, without byte swapping).
#[inline(always)]
pub const fn hash_address(address: u32) -> u32 {
    finish(address.wrapping_mul(MULTIPLIER))
}

/// The words of an IPv6 address in one.
#[inline(always)]
const fn mixed(address: [u32; 4], seed: u32) -> u32 {
    let h = finish(address[0] ^ seed);
    let h = h.wrapping_add(address[1]).wrapping_mul(MULTIPLIER);
    let h = finish(h ^ address[2]);
    h.wrapping_add(address[3]).wrapping_mul(MULTIPLIER)
}

/// Hash of an IPv6 address, in words as read from the packet.
#[inline(always)]
pub const fn hash_address_v6(address: [u32; 4]) -> u32 {
    finish(mixed(address, 0))
}

/// Hash of a virtual service's address (IPv4: first word only) and key.
#[inline(always)]
pub const fn hash_service(address: [u32; 4], key: u32) -> u32 {
    finish(mixed(address, key))
}

/// Hash of a connection: the client's side only, as in IPVS, so that both directions of a
/// translated connection meet in one bucket. `seed` is chosen at start, so that nobody outside can
/// aim at one bucket.
#[inline(always)]
pub const fn hash_connection(client: u32, port: u16, protocol: u8, seed: u32) -> u32 {
    let h = finish(client ^ seed);
    finish(h ^ (((port as u32) << 8) | protocol as u32).wrapping_mul(MULTIPLIER))
}

/// As [`hash_connection`], of an IPv6 client.
#[inline(always)]
pub const fn hash_connection_v6(client: [u32; 4], port: u16, protocol: u8, seed: u32) -> u32 {
    let h = mixed(client, seed);
    finish(h ^ (((port as u32) << 8) | protocol as u32).wrapping_mul(MULTIPLIER))
}
