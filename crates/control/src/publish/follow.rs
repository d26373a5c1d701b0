//! What changes in the tables when the network does.

use std::collections::HashMap;

use crate::Plane;
use crate::nexthops::{Target, Towards};
use crate::publish::cells::DestinationValues;
use crate::publish::plan::{Edit, Plan};
use crate::publish::records::ServiceRecord;
use crate::publish::{Publisher, Surroundings};

impl Publisher {
    /// Publishes anew which addresses are local to this machine.
    pub fn localise(&mut self, plane: &impl Plane, surroundings: &impl Surroundings) {
        let edits: Vec<Edit> = self
            .addresses
            .localise(&|address| surroundings.is_local(address))
            .into_iter()
            .map(|(address, flags)| Edit::Address(address, flags))
            .collect();
        if edits.is_empty() {
            return;
        }
        // Flags of addresses that are there already always fit.
        let plan = Plan {
            edits,
            ..Plan::default()
        };
        let _fits = self.commit(plane, plan, surroundings);
    }

    /// Leads destinations another way.
    pub fn redirect(&self, plane: &impl Plane, ways: &HashMap<Target, Towards>) {
        let view = plane.view();
        let mut changed = Vec::new();
        for record in self.records.values().flat_map(ServiceRecord::all) {
            if let Some(&towards) = ways.get(&record.target()) {
                let cell = &view.destinations[record.number as usize];
                let before = DestinationValues::read(cell);
                let after = before.led(towards);
                if after != before {
                    changed.push((cell, before, after));
                }
            }
        }
        // No packet may take half of a source address from before and half from now.
        let readdressed = changed
            .iter()
            .filter(|(_, before, after)| before.tunnel_source[1..] != after.tunnel_source[1..]);
        let mut waits = false;
        for (cell, ..) in readdressed {
            cell.next_hop.publish(abi::NONE);
            waits = true;
        }
        if waits {
            plane.wait_for_readers();
        }
        for (cell, _, after) in changed {
            after.write(cell);
        }
    }
}
