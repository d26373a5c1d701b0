//! maglev against a second implementation, and what its documentation promises.

use std::net::SocketAddr;

use crate::director::address;
use crate::golden::lines;
use proptest::collection::vec;
use proptest::prelude::*;
use sched::maglev::{Member, SLOTS, fill, slot};

const CHOICES: &str = include_str!("../golden/maglev.csv");

/// `192.168.100.39:80/1`: address, port, weight.
fn member(text: &str) -> Member {
    let (end, weight) = text.split_once('/').unwrap();
    let end: SocketAddr = end.parse().unwrap();
    Member {
        address: address(end.ip()),
        port: end.port().to_be(),
        weight: weight.parse().unwrap(),
    }
}

/// A pool of this many destinations, each of this weight. Pools of other numbers have others.
fn pool(number: u8, weights: &[u32]) -> Vec<Member> {
    (0u16..)
        .zip(weights)
        .map(|(n, weight)| member(&format!("10.{number}.{}.{}:80/{weight}", n >> 8, n & 255)))
        .collect()
}

#[test]
fn clients_get_whom_a_second_implementation_says() {
    let mut cases = 0;
    for [servers, attempt, clients, picks] in lines::<4>(CHOICES) {
        let members: Vec<Member> = servers.split(' ').map(member).collect();
        let table = fill(&members);
        for (client, wanted) in clients.split(' ').zip(picks.split(' ')) {
            let end: SocketAddr = client.parse().unwrap();
            let slot = slot(
                address(end.ip()),
                end.port().to_be(),
                attempt.parse().unwrap(),
            );
            let picked = table[slot as usize].to_string();
            assert_eq!(
                picked, wanted,
                "{client} among {servers}, attempt {attempt}"
            );
        }
        cases += 1;
    }
    assert_eq!(cases, 12);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn the_order_in_which_destinations_were_added_does_not_matter(
        weights in vec(0u32..9, 2..9), by in 1usize..8,
    ) {
        let members = pool(1, &weights);
        let mut turned = members.clone();
        turned.rotate_left(by % members.len());
        let whom = |members: &[Member]| -> Vec<Member> {
            fill(members).iter().map(|&index| members[index as usize]).collect()
        };
        prop_assert_eq!(whom(&members), whom(&turned));
    }

    #[test]
    fn every_destination_has_the_share_of_slots_that_its_weight_asks_for(
        weights in vec(prop_oneof![3 => 0u32..20, 1 => 0..=i32::MAX as u32], 1..20),
    ) {
        let table = fill(&pool(2, &weights));
        let sum: f64 = weights.iter().map(|&w| f64::from(w)).sum();
        if sum == 0.0 {
            prop_assert!(table.is_empty());
            return Ok(());
        }
        for (index, &weight) in (0u32..).zip(&weights) {
            let slots = table.iter().filter(|&&i| i == index).count() as f64;
            let fair = f64::from(weight) / sum * f64::from(SLOTS);
            // The first round has one for everybody; the last one may end before its turn.
            let most = 1.0 + weights.len() as f64 * (f64::from(weight) / sum);
            prop_assert!((slots - fair).abs() <= most, "{slots} of {fair}");
            prop_assert_eq!(slots == 0.0, weight == 0);
        }
    }
}

/// The share of slots, in per cent, that change hands though neither their old nor their new
/// destination is `who`: the mean over 16 pools.
fn needlessly_moved(before: &[u32], after: &[u32], who: usize) -> f64 {
    let pools = 16;
    let moved: usize = (0..pools)
        .map(|number| {
            let (old, new) = (fill(&pool(number, before)), fill(&pool(number, after)));
            let concerns = |index: u32| index as usize == who;
            old.iter()
                .zip(&new)
                .filter(|&(&old, &new)| old != new && !concerns(old) && !concerns(new))
                .count()
        })
        .sum();
    moved as f64 * 100.0 / f64::from(SLOTS) / f64::from(pools)
}

/// These numbers stand in the module's documentation, as those of the next test.
#[test]
fn few_clients_move_that_need_not_when_a_destination_leaves_or_comes() {
    for (destinations, documented) in [(2, 0.0), (3, 0.03), (10, 0.24), (100, 0.57), (1_000, 0.58)]
    {
        let before = vec![1; destinations];
        let mut after = before.clone();
        after[destinations / 2] = 0;
        let moved = needlessly_moved(&before, &after, destinations / 2);
        assert!(
            (moved - documented).abs() < 0.01,
            "{moved} % of {destinations}"
        );
    }
}

#[test]
fn few_clients_move_that_need_not_when_a_weight_changes() {
    let before = [10; 10];
    for (weight, documented) in [(9, 0.09), (5, 0.17), (1, 0.21), (20, 0.17)] {
        let mut after = before;
        after[4] = weight;
        let moved = needlessly_moved(&before, &after, 4);
        assert!(
            (moved - documented).abs() < 0.01,
            "{moved} % with weight {weight}"
        );
    }
}
