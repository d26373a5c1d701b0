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

/// The longest span in ticks that is told from the past: ticks are compared by their signed
/// difference, and a processor's may be a little behind another's.
const LONGEST: Tick = i32::MAX.unsigned_abs() - 0xffff;

/// Seconds in ticks, or the longest span where that is shorter: 24 days at 1000 ticks a second.
pub(crate) fn ticks(view: &View<'_>, seconds: u32) -> Tick {
    ticks_at(view.globals.ticks_per_second.load(), seconds)
}

fn ticks_at(ticks_per_second: u32, seconds: u32) -> Tick {
    seconds.saturating_mul(ticks_per_second).min(LONGEST)
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

    /// The longest timeout that `ipvsadm --set` takes is 31 days.
    #[test]
    fn no_timeout_is_so_long_that_it_lies_in_the_past() {
        const LONGEST_SECONDS: u32 = 31 * 24 * 60 * 60;
        for (hz, seconds, expected) in [
            (1000, 900, 900_000),
            (250, LONGEST_SECONDS, 250 * LONGEST_SECONDS),
            (1000, LONGEST_SECONDS, LONGEST),
            (1000, u32::MAX, LONGEST),
        ] {
            let ticks = ticks_at(hz, seconds);
            assert_eq!(ticks, expected);
            for now in [0, 1, u32::MAX / 2, u32::MAX] {
                let word = conntable::Word::default().moved(0, false, now.wrapping_add(ticks));
                assert!(!word.is_past(now) && !word.is_past(now.wrapping_sub(100)));
            }
        }
    }

    #[test]
    fn an_address_comes_back_from_its_words() {
        for text in ["192.0.2.7", "0.0.0.0", "2001:db8:1:2:3:4:5:6", "::1"] {
            let address: IpAddr = text.parse().unwrap();
            assert_eq!(to_address(of(address), address.is_ipv6()), address);
        }
    }
}
