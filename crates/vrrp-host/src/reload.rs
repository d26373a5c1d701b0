//! Another plan for virtual routers that run.

use config::model::VirtualRule;

use crate::error::Error;
use crate::holding::{Job, Target};
use crate::host::Host;
use crate::losses::Losses;
use crate::notify::{About, Fifos, word};
use crate::plan::Plan;
use crate::routes::Route;
use crate::tracking::Trackers;
use crate::vmac;

impl Host {
    /// Goes on with another plan. Masters that are in both stay masters; what none holds any more is
    /// removed at the end, so that nothing that stays is missed for a moment.
    ///
    /// # Errors
    /// The plan contradicts itself, or its pipes cannot be opened. Nothing has changed then.
    pub(crate) async fn reload(&mut self, plan: Plan) -> Result<(), Error> {
        let fifos = if plan.fifos == self.plan.fifos {
            None
        } else {
            Some(Fifos::open(&plan.fifos)?)
        };
        let losses = Losses::follow(&plan, self.port)?;
        let (mut addresses, mut routes, mut rules) = self.held();
        self.router
            .reload(plan.settings(), plan.sync_groups(), self.now())?;
        self.trackers = Trackers::start(&plan);
        self.losses = losses;
        if let Some(fifos) = fifos {
            self.fifos = fifos;
        }
        let before = std::mem::replace(&mut self.plan, plan);
        self.leaving = before.instances;
        if self.plan.paces != before.paces {
            self.job(Job::Pace(self.plan.paces.clone()));
        }
        self.carry_out_all().await;
        self.look_at_network().await;
        let (still_addresses, still_routes, still_rules) = self.held();
        addresses.retain(|known| !still_addresses.iter().any(|still| still.is_same(known)));
        routes.retain(|known| !still_routes.iter().any(|still| still.route == known.route));
        rules.retain(|known| !still_rules.contains(known));
        self.job(Job::Release {
            addresses,
            routes,
            rules,
        });
        for instance in std::mem::take(&mut self.leaving) {
            let stays = self
                .plan
                .instances
                .iter()
                .any(|known| known.vmac == instance.vmac);
            if let Some(vmac) = instance.vmac.filter(|_| !stays) {
                vmac::remove(&self.handle, &vmac).await;
            }
        }
        if self.plan.states_on_reload {
            self.tell_states();
        }
        Ok(())
    }

    /// Tells the pipes where everyone stands.
    fn tell_states(&mut self) {
        for status in self.router.status(self.now()) {
            let about = About::Instance(&status.name);
            self.fifos.tell(about, word(status.state), status.priority);
        }
        for (group, state) in self.router.groups() {
            self.fifos.tell(About::Group(group), word(state), 0);
        }
    }

    /// What all masters hold.
    fn held(&self) -> (Vec<Target>, Vec<Route>, Vec<VirtualRule>) {
        let masters = || {
            let instances = self.plan.instances.iter();
            instances.filter(|instance| self.masters.contains(&instance.settings.name))
        };
        let addresses = masters()
            .flat_map(|master| master.targets(&self.snapshot))
            .collect();
        let routes = masters()
            .flat_map(|master| master.route_targets(&self.snapshot))
            .collect();
        let rules = masters().flat_map(|master| master.rules.clone()).collect();
        (addresses, routes, rules)
    }
}
