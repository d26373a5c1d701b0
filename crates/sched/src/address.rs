//! Addresses as the hashing schedulers see them.

/// An IP address, as it stands in a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Address {
    /// The address in network order, as read from the packet. IPv4: the first word, the others 0.
    pub words: [u32; 4],
    /// Whether the *service* has IPv6 addresses. A tunnelled destination may be of the other
    /// family; IPVS reads its address as one of the service's.
    pub is_v6: bool,
}

impl Address {
    /// An IPv4 address in network order, as read from the packet.
    #[inline(always)]
    pub const fn v4(word: u32) -> Self {
        Self {
            words: [word, 0, 0, 0],
            is_v6: false,
        }
    }

    /// An IPv6 address in network order, as read from the packet.
    #[inline(always)]
    pub const fn v6(words: [u32; 4]) -> Self {
        Self { words, is_v6: true }
    }

    /// The address in one word (host order), as IPVS folds it for its hashes.
    #[inline(always)]
    pub(crate) const fn fold(self) -> u32 {
        let [a, b, c, d] = self.words;
        u32::from_be(if self.is_v6 { a ^ b ^ c ^ d } else { a })
    }

    /// The words in host order: the same numbers on machines of either byte order.
    #[inline(always)]
    pub(crate) const fn host_words(self) -> [u32; 4] {
        let [a, b, c, d] = self.words;
        [
            u32::from_be(a),
            u32::from_be(b),
            u32::from_be(c),
            u32::from_be(d),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ipv6_address_is_folded_and_of_an_ipv4_service_only_the_first_word_counts() {
        let words = [1u32, 2, 4, 8].map(u32::to_be);
        assert_eq!(Address::v6(words).fold(), 15);
        let is_v6 = false;
        assert_eq!(Address { words, is_v6 }.fold(), 1);
        assert_eq!(Address::v4(0x0102_0304u32.to_be()).fold(), 0x0102_0304);
    }
}
