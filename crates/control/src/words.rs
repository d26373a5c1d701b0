//! Addresses in words, as they stand in packets and in the tables.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use abi::{Address, Tick, View};
use cell::Cell32;

/// An IPv4 address: one word.
pub(crate) fn of_v4(address: Ipv4Addr) -> u32 {
    u32::from_ne_bytes(address.octets())
}

/// The IPv4 address of a word.
pub(crate) fn to_v4(word: u32) -> Ipv4Addr {
    Ipv4Addr::from(word.to_ne_bytes())
}

/// An address of either family.
pub(crate) fn of(address: IpAddr) -> Address {
    match address {
        IpAddr::V4(address) => [of_v4(address), 0, 0, 0],
        IpAddr::V6(address) => {
            let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p] = address.octets();
            let words = [[a, b, c, d], [e, f, g, h], [i, j, k, l], [m, n, o, p]];
            words.map(u32::from_ne_bytes)
        }
    }
}

/// The address of the words.
pub(crate) fn to_address(words: Address, is_v6: bool) -> IpAddr {
    if !is_v6 {
        return to_v4(words[0]).into();
    }
    let number = words.iter().fold(0, |number, word| {
        number << 32 | u128::from(u32::from_be(*word))
    });
    Ipv6Addr::from(number).into()
}

/// The family of an address as the tables tell it: 4 or 6.
pub(crate) fn family(address: IpAddr) -> u32 {
    if address.is_ipv6() { 6 } else { 4 }
}

/// Reads an address.
pub(crate) fn load(cells: &[Cell32; 4]) -> Address {
    cells.each_ref().map(Cell32::load)
}

/// Writes an address, word by word: somebody who reads meanwhile may get parts of two.
pub(crate) fn store(cells: &[Cell32; 4], address: Address) {
    for (cell, word) in cells.iter().zip(address) {
        cell.store(word);
    }
}

/// Seconds in ticks, as many as can be told from the past: ticks are compared by their signed
/// difference.
pub(crate) fn ticks(view: &View<'_>, seconds: u32) -> Tick {
    const LONGEST: Tick = i32::MAX.unsigned_abs();
    seconds
        .saturating_mul(view.globals.ticks_per_second.load())
        .min(LONGEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_hold_the_bytes_in_a_packets_order() {
        let bytes = |text: &str| -> Vec<u8> {
            let words = of(text.parse().unwrap());
            words.iter().flat_map(|word| word.to_ne_bytes()).collect()
        };
        assert_eq!(bytes("192.0.2.7")[..4], [192, 0, 2, 7]);
        let v6 = [0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9];
        assert_eq!(bytes("2001:db8::9"), v6);
    }

    #[test]
    fn an_address_comes_back_from_its_words() {
        for text in ["192.0.2.7", "0.0.0.0", "2001:db8:1:2:3:4:5:6", "::1"] {
            let address: IpAddr = text.parse().unwrap();
            assert_eq!(to_address(of(address), address.is_ipv6()), address);
        }
    }
}
