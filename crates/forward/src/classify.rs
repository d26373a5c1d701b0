//! Which firewall mark a packet has: an earlier filter's, or a rule's.

use abi::{Carry, Globals, MARK_RULES, MarkRule};
use cell::Cell32;

use crate::host::Tables;

/// The mark that the rules give to the packet that is described in the processor's [`Carry`] and
/// came in by an interface: the first rule's that fits, 0 where none does.
///
/// Tables whose functions the kernel verifies one by one give this as [`Tables::classify`].
#[inline(always)]
pub fn classify<'t, T: Tables<'t>>(tables: T, ifindex: u32, processor: u32) -> u32 {
    let (Some(globals), Some(carry)) = (tables.globals(), tables.carry(processor)) else {
        return 0;
    };
    let first = first_rule(globals);
    for index in 0..MARK_RULES {
        let Some(rule) = tables.mark_rule(first + index) else {
            return 0;
        };
        if rule.is_used.load() == 0 {
            return 0;
        }
        if misses(rule, carry, ifindex) == 0 {
            return rule.mark.load();
        }
    }
    0
}

#[inline(always)]
fn first_rule(globals: &Globals) -> u32 {
    (globals.side.load() & 1) * MARK_RULES
}

/// 0 where a rule fits a packet. Without a branch, as the kernel's verifier follows every one of
/// every rule.
#[inline(always)]
fn misses(rule: &MarkRule, carry: &Carry, ifindex: u32) -> u32 {
    let port = u16::from_be((carry.ports.load() >> 16) as u16) as u32;
    let below = port.wrapping_sub(rule.first_port.load());
    let above = rule.last_port.load().wrapping_sub(port);
    let family = carry.is_v6.load() * 2 + 4;
    differs(&carry.virtual_address, &rule.to, &rule.to_mask)
        | differs(&carry.client, &rule.from, &rule.from_mask)
        | (family ^ rule.family.load()) & rule.family_mask.load()
        | (carry.protocol.load() ^ rule.protocol.load()) & rule.protocol_mask.load()
        | (ifindex ^ rule.ifindex.load()) & rule.ifindex_mask.load()
        | (below | above) >> 31
}

#[inline(always)]
fn differs(address: &[Cell32; 4], wanted: &[Cell32; 4], mask: &[Cell32; 4]) -> u32 {
    let word = |index: usize| (address[index].load() ^ wanted[index].load()) & mask[index].load();
    word(0) | word(1) | word(2) | word(3)
}
