//! The rules that give packets marks, as packets read them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use abi::{Address, MARK_RULES, MarkRule as Cell, View};
use model::{Family, MarkRule, MarkRules, Prefix};

use crate::{Plane, words};

/// How many rules there may be.
pub(crate) const LIMIT: usize = MARK_RULES as usize;
/// A field that is asked about.
const ASKED: u32 = u32::MAX;

/// A rule in the tables' terms.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Values {
    mark: u32,
    family: Option<u32>,
    protocol: Option<u32>,
    ifindex: Option<u32>,
    ports: (u16, u16),
    to: Masked,
    from: Masked,
}

/// An address, and its bits that count.
type Masked = (Address, Address);

/// The rules whose interfaces are there; `ifindex` knows them by their names.
pub(crate) fn values(rules: &MarkRules, ifindex: impl Fn(&str) -> Option<u32>) -> Vec<Values> {
    let value = |rule: &MarkRule| {
        let ifindex = match &rule.interface {
            Some(name) => Some(ifindex(name)?),
            None => None,
        };
        // Two families at once are refused before.
        let family = rule.families().ok()?;
        Some(Values {
            mark: rule.mark,
            family: family.map(|family| match family {
                Family::Ipv4 => 4,
                Family::Ipv6 => 6,
            }),
            protocol: rule.protocol.map(|protocol| protocol.number().into()),
            ifindex,
            ports: rule.ports.map_or((0, u16::MAX), Into::into),
            to: masked(rule.to),
            from: masked(rule.from),
        })
    };
    rules.iter().filter_map(value).collect()
}

pub(crate) fn masked(prefix: Option<Prefix>) -> Masked {
    let Some(prefix) = prefix else {
        return Masked::default();
    };
    let ones = match prefix.address() {
        IpAddr::V4(_) => Ipv4Addr::BROADCAST.into(),
        IpAddr::V6(_) => Ipv6Addr::from_bits(u128::MAX).into(),
    };
    let mask = Prefix::new(ones, prefix.length()).map_or(ones, Prefix::address);
    (words::of(prefix.address()), words::of(mask))
}

/// Makes packets go by these rules, all at once. Between two transactions both sides are equal, so
/// that the idle one only lacks the rules.
pub(crate) fn publish(plane: &impl Plane, rules: &[Values]) {
    let view = plane.view();
    let side = view.globals.side.load() & 1;
    write(&view, side ^ 1, rules);
    view.globals.side.publish(side ^ 1);
    plane.wait_for_readers();
    write(&view, side, rules);
}

fn write(view: &View<'_>, side: u32, rules: &[Values]) {
    let cells = view
        .mark_rules
        .iter()
        .skip(side as usize * LIMIT)
        .take(LIMIT);
    let rules = rules.iter().map(Some).chain(std::iter::repeat(None));
    for (cell, rule) in cells.zip(rules) {
        if let Some(rule) = rule {
            rule.write(cell);
        }
        cell.is_used.store(rule.is_some().into());
    }
}

impl Values {
    fn write(&self, cell: &Cell) {
        cell.mark.store(self.mark);
        for (value, mask, asked) in [
            (&cell.family, &cell.family_mask, self.family),
            (&cell.protocol, &cell.protocol_mask, self.protocol),
            (&cell.ifindex, &cell.ifindex_mask, self.ifindex),
        ] {
            value.store(asked.unwrap_or(0));
            mask.store(if asked.is_some() { ASKED } else { 0 });
        }
        cell.first_port.store(self.ports.0.into());
        cell.last_port.store(self.ports.1.into());
        words::store(&cell.to, self.to.0);
        words::store(&cell.to_mask, self.to.1);
        words::store(&cell.from, self.from.0);
        words::store(&cell.from_mask, self.from.1);
    }
}
