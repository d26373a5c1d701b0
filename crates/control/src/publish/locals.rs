//! Services' local addresses in the tables, and those that were taken from them while connections
//! still have them.

use std::collections::HashSet;
use std::net::IpAddr;

use abi::View;

use crate::publish::addresses::{Uses, note};
use crate::publish::plan::{CapacityError, Plan};
use crate::publish::{Publisher, Surroundings};
use crate::runs::Run;
use crate::{Plane, words};

/// A service's local addresses, and where they stand.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Pool {
    pub(crate) run: Run,
    /// IPv4's, then IPv6's.
    pub(crate) addresses: Vec<IpAddr>,
}

impl Pool {
    /// How many there are, IPv4's and IPv6's.
    pub(crate) fn counts(&self) -> [u32; 2] {
        let all = self.addresses.len() as u32;
        let v4 = self.addresses.iter().filter(|a| a.is_ipv4()).count() as u32;
        [v4, all - v4]
    }

    /// The pool that stands in the tables. `None` where that cannot be.
    pub(crate) fn read(view: &View<'_>, first: u32, [v4, v6]: [u32; 2]) -> Option<Self> {
        let length = v4.checked_add(v6)?;
        first.checked_add(length)?;
        let run = Run { first, length };
        let cells = view.locals.get(run.places())?.iter().zip(0..);
        let addresses = cells
            .map(|(cell, place)| words::to_address(words::load(&cell.address), place >= v4))
            .collect();
        Some(Self { run, addresses })
    }
}

/// A local address that no pool has, but connections may.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Returned {
    address: IpAddr,
    /// The sweep that was under way when it was taken from its pool.
    in_sweep: u64,
}

impl Publisher {
    /// The pool with these addresses: the one that is there, where it has them.
    pub(crate) fn plan_pool(
        &mut self,
        wanted: &[IpAddr],
        before: Option<&Pool>,
        plan: &mut Plan,
    ) -> Result<Pool, CapacityError> {
        let of_family = |v6: bool| wanted.iter().filter(move |address| address.is_ipv6() == v6);
        let addresses: Vec<IpAddr> = of_family(false).chain(of_family(true)).copied().collect();
        if let Some(before) = before
            && before.addresses == addresses
        {
            return Ok(before.clone());
        }
        let run = self
            .locals
            .take(addresses.len() as u32)
            .ok_or(CapacityError::Full {
                what: "local addresses",
                limit: self.sizes.local_cells(),
                hint: "start the daemon with a larger --max-services",
            })?;
        plan.new_locals.push((run, addresses.clone()));
        for &address in &addresses {
            note(&mut plan.uses, address, Uses::LENT, 1);
        }
        if let Some(before) = before {
            plan_return(before, plan);
        }
        Ok(Pool { run, addresses })
    }

    /// Takes note of the local addresses that a full sweep found connections of. To be told before
    /// [`Publisher::swept`].
    pub fn lent(
        &mut self,
        plane: &impl Plane,
        lent: &HashSet<IpAddr>,
        surroundings: &impl Surroundings,
    ) {
        let finished = self.sweep;
        let (free, kept): (Vec<_>, Vec<_>) = self.returned.drain(..).partition(|returned| {
            returned.in_sweep < finished && !lent.contains(&returned.address)
        });
        self.returned = kept;
        let mut plan = Plan::default();
        for returned in &free {
            note(&mut plan.uses, returned.address, Uses::LENT, -1);
        }
        if !free.is_empty() {
            // Taking out always fits.
            let _fits = self.commit(plane, plan, surroundings);
        }
    }

    /// Keeps local addresses for the connections that may have them.
    pub(crate) fn keep_returned(&mut self, addresses: impl IntoIterator<Item = IpAddr>) {
        let in_sweep = self.sweep;
        let returned = addresses
            .into_iter()
            .map(|address| Returned { address, in_sweep });
        self.returned.extend(returned);
    }
}

/// A pool is no more.
pub(crate) fn plan_return(pool: &Pool, plan: &mut Plan) {
    plan.old_locals.push(pool.run);
    plan.returned_locals.extend(&pool.addresses);
}
