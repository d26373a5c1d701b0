//! twos against the kernel's own loop, step by step, and its distribution.

use proptest::collection::vec;
use proptest::prelude::*;
use sched::least::{Load, Rule};
use sched::plan::Plan;
use sched::twos::{outcome, position};

/// `ip_vs_twos_schedule`, given the two random numbers that it draws. Destinations are weight and
/// overhead; an overloaded one has weight 0 here.
fn kernel(destinations: &[(i64, i64)], mut points: [i64; 2]) -> Option<usize> {
    let mut choices = [None, None];
    for (number, &(weight, overhead)) in destinations.iter().enumerate() {
        if weight <= 0 {
            continue;
        }
        for (point, choice) in points.iter_mut().zip(&mut choices) {
            *point -= weight;
            if *point <= 0 && choice.is_none() {
                *choice = Some((number, weight, overhead));
            }
        }
    }
    let [(first, weight1, overhead1), (second, weight2, overhead2)] = [choices[0]?, choices[1]?];
    Some(if weight2 * overhead1 > weight1 * overhead2 {
        second
    } else {
        first
    })
}

fn total(destinations: &[Load]) -> u64 {
    destinations.iter().map(|load| u64::from(load.weight)).sum()
}

fn pick(destinations: &[Load], random: [u64; 2]) -> Option<usize> {
    let weights: Vec<u32> = destinations.iter().map(|load| load.weight).collect();
    let plan = Plan::lottery(&weights);
    let drawn = random.map(|random| plan.pick(position(plan.picks, random)));
    let candidate =
        |index: u32| Rule::WeightedLeastConnection.candidate(index, destinations[index as usize]);
    let picked = outcome(candidate(drawn[0]?), candidate(drawn[1]?));
    Some(picked.number as usize)
}

fn load() -> impl Strategy<Value = Load> {
    let weight = prop_oneof![4 => 0u32..8, 1 => 0..=i32::MAX as u32];
    (weight, 0u32..20, 0u32..600).prop_map(|(weight, active, inactive)| Load {
        weight,
        active,
        inactive,
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn the_same_random_numbers_give_the_kernels_choice(
        destinations in vec(load(), 0..8), random in any::<[u64; 2]>(),
    ) {
        let points = random.map(|number| (number % (total(&destinations) + 1)) as i64);
        let plain: Vec<(i64, i64)> = destinations
            .iter()
            .map(|load| (i64::from(load.weight), i64::from(load.overhead())))
            .collect();
        prop_assert_eq!(pick(&destinations, random), kernel(&plain, points));
    }
}

#[test]
fn idle_destinations_are_picked_by_their_weight_and_a_busy_one_only_against_itself() {
    let idle = |weight| Load {
        weight,
        active: 0,
        inactive: 0,
    };
    let mut destinations = [idle(2), idle(5), idle(3)];
    // Every pair of points once.
    let count = |destinations: &[Load]| {
        let mut picked = [0; 3];
        for (first, second) in (0..11).flat_map(|a| (0..11).map(move |b| (a, b))) {
            picked[pick(destinations, [first, second]).unwrap()] += 1;
        }
        picked
    };
    // 11 points: the first destination has one more than its weight.
    assert_eq!(count(&destinations), [3 * 11, 5 * 11, 3 * 11]);
    destinations[1].active = 1;
    assert_eq!(
        count(&destinations),
        [3 * 11 + 5 * 3, 5 * 5, 3 * 11 + 5 * 3]
    );
}
