//! The picks are those of IPVS itself: see ../golden/README.md.

use std::collections::VecDeque;

use crate::service::Service;
use sched::least::{Candidate, overhead};
use sched::threshold::overloaded;

const PICKS: &str = include_str!("../golden/picks.csv");
const CHANGES: &str = include_str!("../golden/changes.csv");
const THRESHOLDS: &str = include_str!("../golden/thresholds.csv");

fn lines<const N: usize>(csv: &'static str) -> impl Iterator<Item = [&'static str; N]> {
    csv.lines().skip(1).map(|line| {
        line.split(',')
            .collect::<Vec<_>>()
            .try_into()
            .expect("as many fields as the title")
    })
}

/// `rs1` is 1.
fn server(name: &str) -> u32 {
    name.strip_prefix("rs").unwrap().parse().unwrap()
}

fn servers(names: &str) -> Vec<u32> {
    names.split(' ').map(server).collect()
}

#[test]
fn rr_and_wrr_pick_in_the_kernels_order() {
    let mut cases = 0;
    for [case, scheduler, weights, _, picks] in lines::<5>(PICKS) {
        if !matches!(scheduler, "rr" | "wrr") {
            continue;
        }
        let mut service = Service::new(scheduler);
        for (name, weight) in (1..).zip(weights.split(':')) {
            service.add(name, weight.parse().unwrap());
        }
        for (n, wanted) in servers(picks).into_iter().enumerate() {
            assert_eq!(service.pick(), Some(wanted), "{case}, connection {n}");
        }
        cases += 1;
    }
    assert_eq!(cases, 9);
}

/// A destination under lc or wlc.
struct Loaded {
    name: u32,
    weight: u32,
    active: u32,
    inactive: u32,
}

fn least(destinations: &[Loaded], is_weighted: bool) -> usize {
    (0..)
        .zip(destinations)
        .filter(|(_, d)| d.weight > 0)
        .map(|(number, d)| Candidate {
            number,
            weight: if is_weighted { d.weight } else { 1 },
            overhead: overhead(d.active, d.inactive),
        })
        .reduce(|best, next| next.or_better(best))
        .expect("a destination with a weight")
        .number as usize
}

#[test]
fn lc_and_wlc_pick_in_the_kernels_order() {
    let mut cases = 0;
    for [case, scheduler, weights, mode, picks] in lines::<5>(PICKS) {
        let is_weighted = match scheduler {
            "lc" => false,
            "wlc" => true,
            _ => continue,
        };
        let mut destinations: Vec<Loaded> = (1..)
            .zip(weights.split(':'))
            .map(|(name, w)| Loaded {
                name,
                weight: w.parse().unwrap(),
                active: 0,
                inactive: 0,
            })
            .collect();
        destinations.reverse();
        let mut open = VecDeque::new();
        for (n, wanted) in servers(picks).into_iter().enumerate() {
            let picked = least(&destinations, is_weighted);
            assert_eq!(destinations[picked].name, wanted, "{case}, connection {n}");
            destinations[picked].active += 1;
            open.push_back(picked);
            let ends = match mode {
                "keep" => false,
                "close" => true,
                "mix" => n % 2 == 1,
                other => panic!("unknown mode {other}"),
            };
            if ends && let Some(oldest) = open.pop_front() {
                destinations[oldest].active -= 1;
                destinations[oldest].inactive += 1;
            }
        }
        cases += 1;
    }
    assert_eq!(cases, 16);
}

#[test]
fn rr_and_wrr_go_on_after_a_change_as_the_kernel_does() {
    /// `a` is 1, as a destination's number.
    fn number(name: &str) -> u32 {
        u32::from(name.as_bytes()[0])
    }
    let mut service = Service::new("rr");
    let (mut case, mut cases) = ("", 0);
    for (line, [named, operation, name, argument]) in (2..).zip(lines::<4>(CHANGES)) {
        if named != case {
            (case, cases) = (named, cases + 1);
            service = Service::new(name);
            continue;
        }
        match operation {
            "scheduler" => service.set_scheduler(name),
            "add" => service.add(number(name), argument.parse().unwrap()),
            "edit" => service.edit(number(name), argument.parse().unwrap()),
            "delete" => service.delete(number(name)),
            _ => {
                for (n, picked) in name.split(' ').enumerate() {
                    let wanted = (picked != "-").then(|| number(picked));
                    assert_eq!(
                        service.pick(),
                        wanted,
                        "line {line}: {case}, connection {n}"
                    );
                }
            }
        }
    }
    assert_eq!(cases, 39);
}

#[test]
fn thresholds_mark_and_clear_as_in_the_kernel() {
    let (mut upper, mut lower, mut was) = (0, 0, false);
    // Of two equal destinations, the younger is first in the list.
    let (mut total, mut next) = (0, 2);
    for [operation, given_upper, given_lower, picks] in lines::<4>(THRESHOLDS) {
        if operation == "edit" {
            (upper, lower) = (given_upper.parse().unwrap(), given_lower.parse().unwrap());
            was = overloaded(total, upper, lower, was);
            continue;
        }
        for wanted in servers(picks) {
            let picked = if was { 2 } else { next };
            assert_eq!(
                picked, wanted,
                "{total} connections, thresholds {upper} and {lower}"
            );
            next = 3 - picked;
            if picked == 1 {
                total += 1;
                was = overloaded(total, upper, lower, was);
            }
        }
    }
    assert_eq!(total, 8);
}
