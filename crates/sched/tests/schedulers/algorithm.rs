//! Plans against the scheduler's own loop, step by step as the kernel runs it.

use crate::service::Service;
use proptest::collection::vec;
use proptest::prelude::*;
use sched::plan::Plan;

/// wrr as `ip_vs_wrr.c` has it: a place in the list, a current weight, its steps.
#[derive(Default)]
struct Kernel {
    /// Name and weight, the youngest first.
    list: Vec<(u32, u32)>,
    /// Place of the last pick; `None` is the list's head.
    place: Option<usize>,
    current: u64,
    greatest: u64,
    step: u64,
}

impl Kernel {
    fn changed(&mut self) {
        let weights = || self.list.iter().map(|d| u64::from(d.1)).filter(|&w| w > 0);
        self.step = weights().fold(0, gcd).max(1);
        self.greatest = weights().max().map_or(0, |w| w - (self.step - 1));
        self.place = None;
        if self.current > self.greatest || self.current == 0 {
            self.current = self.greatest;
        } else if self.step > 1 {
            self.current = self.current / self.step * self.step + 1;
        }
    }

    fn pick(&mut self) -> Option<u32> {
        if self.greatest == 0 {
            return None;
        }
        loop {
            let from = self.place.map_or(0, |place| place + 1);
            let current = self.current;
            let found = self.list[from..]
                .iter()
                .position(|d| u64::from(d.1) >= current);
            if let Some(found) = found {
                self.place = Some(from + found);
                return Some(self.list[from + found].0);
            }
            self.place = None;
            self.current = self.current.saturating_sub(self.step);
            if self.current == 0 {
                self.current = self.greatest;
            }
        }
    }
}

fn gcd(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// Weights as people give them: small, with common divisors, 0, and now and then huge.
fn weight() -> impl Strategy<Value = u32> {
    prop_oneof![
        8 => 0u32..12,
        4 => (0u32..20).prop_map(|w| w * 10),
        1 => (i32::MAX as u32 - 6)..=i32::MAX as u32,
        1 => 0..=i32::MAX as u32,
    ]
}

#[derive(Clone, Debug)]
enum Step {
    Add(u32),
    Edit(prop::sample::Index, u32),
    Delete(prop::sample::Index),
    Pick(usize),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        2 => weight().prop_map(Step::Add),
        2 => (any::<prop::sample::Index>(), weight()).prop_map(|(i, w)| Step::Edit(i, w)),
        1 => any::<prop::sample::Index>().prop_map(Step::Delete),
        3 => (1usize..40).prop_map(Step::Pick),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn wrr_follows_the_kernels_loop_through_any_changes(steps in vec(step(), 1..40)) {
        let (mut kernel, mut service, mut names) = (Kernel::default(), Service::new("wrr"), 0..);
        for step in steps {
            match step {
                Step::Add(weight) => {
                    let name = names.next().unwrap();
                    kernel.list.insert(0, (name, weight));
                    service.add(name, weight);
                }
                Step::Edit(at, weight) if !kernel.list.is_empty() => {
                    let place = at.index(kernel.list.len());
                    kernel.list[place].1 = weight;
                    service.edit(kernel.list[place].0, weight);
                }
                Step::Delete(at) if !kernel.list.is_empty() => {
                    let (name, _) = kernel.list.remove(at.index(kernel.list.len()));
                    service.delete(name);
                }
                Step::Pick(times) => {
                    for _ in 0..times {
                        prop_assert_eq!(service.pick(), kernel.pick());
                    }
                    continue;
                }
                _ => continue,
            }
            kernel.changed();
        }
    }

    #[test]
    fn a_round_of_wrr_gives_each_its_share_of_the_picks(weights in vec(0u32..40, 1..12)) {
        let plan = Plan::weighted_round_robin(&weights, 1_000).unwrap();
        let step = weights.iter().copied().fold(0, |a, b| gcd(a.into(), b.into()) as u32).max(1);
        let mut picked = vec![0; weights.len()];
        for position in 0..plan.picks {
            picked[plan.pick(position).unwrap() as usize] += 1;
        }
        let shares: Vec<u32> = weights.iter().map(|w| w / step).collect();
        prop_assert_eq!(picked, shares);
    }

    #[test]
    fn a_plan_has_a_block_for_each_weight_and_says_when_it_does_not_fit(
        weights in vec(weight(), 0..40),
    ) {
        let plan = Plan::weighted_round_robin(&weights, u64::MAX).unwrap();
        let mut distinct: Vec<u32> = weights.iter().copied().filter(|&w| w > 0).collect();
        distinct.sort_unstable();
        distinct.dedup();
        prop_assert_eq!(plan.blocks.len(), distinct.len());
        let listed: u64 = plan.blocks.iter().map(|block| block.members.len() as u64).sum();
        prop_assert!(Plan::weighted_round_robin(&weights, listed).is_ok());
        if listed > 0 {
            let refused = Plan::weighted_round_robin(&weights, listed - 1).unwrap_err();
            prop_assert_eq!((refused.needed, refused.allowed), (listed, listed - 1));
        }
        for pair in plan.blocks.windows(2) {
            prop_assert!(pair[0].start < pair[1].start);
        }
    }

    #[test]
    fn rr_gives_everyone_of_weight_above_0_a_turn(weights in vec(weight(), 0..40)) {
        let plan = Plan::round_robin(&weights);
        let turns: Vec<u32> = (0..plan.picks).map(|p| plan.pick(p).unwrap()).collect();
        let wanted: Vec<u32> = (0..).zip(&weights).filter(|(_, w)| **w > 0).map(|(i, _)| i).collect();
        prop_assert_eq!(turns, wanted);
        prop_assert_eq!(plan.pick(plan.picks), plan.pick(0));
    }
}

#[test]
fn the_longest_sequence_fits_its_counters() {
    let weights = [i32::MAX as u32; 1024];
    let plan = Plan::weighted_round_robin(&weights, 1024).unwrap();
    assert_eq!(
        (plan.picks, plan.blocks.len()),
        (1024, 1),
        "equal weights are one level"
    );
    let mut weights = weights;
    weights[7] = 1;
    let plan = Plan::weighted_round_robin(&weights, 2047).unwrap();
    assert_eq!(plan.picks, 1023 * i32::MAX as u64 + 1);
    assert_eq!(plan.pick(plan.picks - 1), Some(1023));
    assert_eq!(plan.pick(plan.picks - 1024 + 7), Some(7));
}
