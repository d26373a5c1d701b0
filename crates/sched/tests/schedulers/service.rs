//! A service as control keeps it: destinations in the kernel's list order, a plan, a cursor.

use sched::plan::{Followed, Plan};

/// Room for members that no test reaches.
const ROOM: u64 = 1 << 20;

/// A service with rr or wrr, its plan followed pick by pick.
pub struct Service {
    scheduler: String,
    /// Name and weight.
    destinations: Vec<(u32, u32)>,
    plan: Plan,
    /// Names that the plan's indices stand for.
    list: Vec<u32>,
    position: u64,
}

impl Service {
    pub fn new(scheduler: &str) -> Self {
        Self {
            scheduler: scheduler.into(),
            destinations: Vec::new(),
            plan: lay_out(scheduler, &[]),
            list: Vec::new(),
            position: 0,
        }
    }

    pub fn set_scheduler(&mut self, scheduler: &str) {
        self.scheduler = scheduler.into();
        self.replan();
    }

    pub fn add(&mut self, name: u32, weight: u32) {
        self.destinations.insert(0, (name, weight));
        self.replan();
    }

    pub fn edit(&mut self, name: u32, weight: u32) {
        let place = self.destinations.iter().position(|d| d.0 == name).unwrap();
        self.destinations[place].1 = weight;
        self.replan();
    }

    pub fn delete(&mut self, name: u32) {
        self.destinations.retain(|d| d.0 != name);
        self.replan();
    }

    /// The name of the next pick.
    pub fn pick(&mut self) -> Option<u32> {
        let index = self.plan.pick(self.position)?;
        self.position += 1;
        Some(self.list[index as usize])
    }

    fn replan(&mut self) {
        let list: Vec<u32> = self.destinations.iter().map(|d| d.0).collect();
        let weights: Vec<u32> = self.destinations.iter().map(|d| d.1).collect();
        let mut plan = lay_out(&self.scheduler, &weights);
        let before = Followed {
            plan: &self.plan,
            list: &self.list,
            position: self.position,
        };
        self.position = plan.resume(&list, &before);
        self.plan = plan;
        self.list = list;
    }
}

fn lay_out(scheduler: &str, weights: &[u32]) -> Plan {
    match scheduler {
        "rr" => Plan::round_robin(weights),
        "wrr" => Plan::weighted_round_robin(weights, ROOM).unwrap(),
        other => panic!("no sequence for {other}"),
    }
}
