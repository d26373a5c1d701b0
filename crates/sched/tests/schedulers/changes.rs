//! Connections between changes of the service. See ../golden/README.md.

use std::net::{IpAddr, SocketAddr};

use crate::director::{Director, connection};
use crate::golden::lines;
use crate::service::Service;

const CHANGES: &str = include_str!("../golden/changes.csv");
const SCENARIOS: &str = include_str!("../golden/scenarios.csv");

/// A destination's number: its letter.
fn number(name: &str) -> u32 {
    u32::from(name.as_bytes()[0])
}

/// Who took each connection, `None` where the client was refused.
fn numbers(names: &str) -> impl Iterator<Item = Option<u32>> {
    names
        .split(' ')
        .map(|name| (name != "-").then(|| number(name)))
}

#[test]
fn rr_and_wrr_go_on_after_a_change_as_the_kernel_does() {
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
                for (n, wanted) in numbers(name).enumerate() {
                    let picked = service.pick();
                    assert_eq!(picked, wanted, "line {line}: {case}, connection {n}");
                }
            }
        }
    }
    assert_eq!(cases, 39);
}

/// Where the destinations of scenarios listened: a to c on port 81 of three hosts, d to f on 82.
fn end(name: &str, is_v6: bool) -> SocketAddr {
    let place = number(name) - number("a");
    let host = [39, 23, 31][place as usize % 3];
    let ip: IpAddr = if is_v6 {
        format!("fd00:100::{host}").parse().unwrap()
    } else {
        IpAddr::from([192, 168, 100, host])
    };
    SocketAddr::new(ip, 81 + (place / 3) as u16)
}

#[test]
fn every_other_scheduler_follows_changes_of_the_service_as_the_kernel_does() {
    let (mut director, mut is_v6, mut cases, mut picks) = (Director::new("lc", ""), false, 0, 0);
    for (line, [case, operation, first, second, third]) in (2..).zip(lines::<5>(SCENARIOS)) {
        let plain = |text: &str| text.parse::<u32>().unwrap();
        match operation {
            "scheduler" => {
                (director, is_v6) = (Director::new(first, second), third == "v6");
                cases += 1;
            }
            "add" => director.add(
                number(first),
                end(first, is_v6),
                plain(second),
                plain(third),
            ),
            "edit" => director.edit(number(first), plain(second), plain(third)),
            "delete" => director.delete(number(first)),
            "sleep" => director.now += plain(first),
            "expiration" => director.expiration = plain(first),
            _ => {
                let mut wanted = numbers(third);
                for (n, text) in second.split(' ').enumerate() {
                    let picked = director.pick(connection(text));
                    let wanted = wanted.next().unwrap();
                    assert_eq!(
                        picked, wanted,
                        "line {line}: {case}, connection {n}: {text}"
                    );
                    picks += 1;
                    if first == "close"
                        && let Some(picked) = picked
                    {
                        director.ended(picked);
                    }
                }
            }
        }
    }
    assert_eq!((cases, picks), (85, 4_847));
}
