//! Every packet that the kernel's director was given, given to ours: the same must come out.

mod likeness;
pub mod site;
mod transcript;

use std::collections::BTreeSet;
use std::sync::{LazyLock, Mutex, PoisonError};

use adm::{Invocation, NameTables};
use forward::Action;

use crate::bed::{Bed, Seen};
use likeness::{from_us, is_the_stacks, to_us, without_choices};
use site::Links;
use transcript::{End, Given, Step};

/// A command on the kernel's director, carried out on ours.
fn carry_out(bed: &mut Bed, links: &Links, command: &str) {
    let words: Vec<&str> = command.split_whitespace().collect();
    match words[..] {
        ["ipvsadm", ..] => {
            let words: Vec<String> = words[1..].iter().map(ToString::to_string).collect();
            let names = NameTables::new("", "");
            match adm::parse(&words, &names).unwrap() {
                Invocation::Change(command) => bed.apply(&[command]),
                other => panic!("{other:?} changes nothing"),
            }
        }
        ["sysctl", "-w", setting] => bed.set(setting),
        ["ip", "link", "set", device, "mtu", mtu] => {
            let end = if device == "eth0" {
                End::Client
            } else {
                End::Server
            };
            links.set_mtu(end, mtu.parse().unwrap());
            bed.follow();
        }
        _ => panic!("{command} is not translated"),
    }
}

/// What differs between what the kernel's director did with a packet and what ours did.
fn difference(given: &Given, seen: &Seen) -> Option<String> {
    let did = format!("ours: {:?}, {:?}", seen.action, seen.reason);
    match (&given.out[..], seen.action) {
        ([], Action::Drop | Action::Pass) => None,
        ([(_, frame)], Action::Pass) if is_the_stacks(frame, &given.frame) => None,
        ([], _) => Some(format!("{did}, the kernel: nothing; {:02x?}", seen.bytes)),
        ([(end, expected)], Action::Send) => {
            let (own_end, frame) = from_us(&seen.bytes);
            if own_end != *end {
                return Some(format!("{did}, out by {own_end:?} instead of {end:?}"));
            }
            let ours = without_choices(&frame, &given.frame);
            match (ours, without_choices(expected, &given.frame)) {
                (Ok(ours), Ok(kernels)) if ours == kernels => None,
                (Err(wrong), _) => Some(format!("{did}, {wrong}")),
                (Ok(ours), kernels) => {
                    Some(format!("{did}\n{ours:02x?}\n{:02x?}", kernels.unwrap()))
                }
            }
        }
        (several, _) => Some(format!(
            "{did}, the kernel: {} to {:?}",
            several.len(),
            several
                .iter()
                .map(|(end, frame)| (end, frame.len()))
                .collect::<Vec<_>>()
        )),
    }
}

/// Where we do something else on purpose: in which scenarios, with what, and why.
type Exception = (&'static str, &'static str, &'static str);

/// By parts of the scenario's name and of what is given in it.
const EXCEPTIONS: &[Exception] = &[
    (
        "nat",
        "without checksum",
        "the kernel gives the datagram a checksum; here it goes on without, as RFC 768 allows",
    ),
    (
        "direct routing",
        "reply through the director",
        "the kernel takes an IPv4 packet from an address of its own for a forged one; here the \
         director may be the real servers' gateway",
    ),
    (
        "tunnel ",
        "does not fit",
        "the kernel cuts what may be cut; here the sender is told, where it asked to be, and the \
         packet is dropped with a reason",
    ),
    (
        "csum",
        "udp without checksum",
        "its sum would take a look at every byte; it is dropped with a reason",
    ),
    (
        "csum",
        "hop-by-hop",
        "likewise, where there are extension headers",
    ),
    (
        "tunnel ipip, 4 in 4",
        "error 3 4 1000 of a router about the outer packet",
        "the kernel tells of the route as it was before the error, for the first packet",
    ),
    (
        "4 in 4",
        "error 3 4 400 of a router about the outer packet",
        "the kernel tells of no less than 552 (net.ipv4.route.min_pmtu) and lets routers cut what \
         is larger; here the client is told what fits",
    ),
    (
        "4 in 6",
        "about the outer packet",
        "the kernel tells a client nothing of errors about the other family's packets",
    ),
    ("6 in 4", "about the outer packet", "likewise"),
    (
        "6 in 6",
        "about the outer packet",
        "nor of errors about IPv6's own tunnels",
    ),
];

/// The exceptions that a packet may be one of.
fn exceptions(scenario: &str, what: &str) -> impl Iterator<Item = usize> {
    let of_it = |(there, part, _): &Exception| scenario.contains(there) && what.contains(part);
    (0..EXCEPTIONS.len()).filter(move |&index| of_it(&EXCEPTIONS[index]))
}

/// Where all transcripts are replayed, one after the other.
static PLACE: LazyLock<Mutex<(Links, Bed)>> = LazyLock::new(|| {
    let links = Links::new();
    let bed = Bed::at(&links);
    Mutex::new((links, bed))
});

/// Everything as it is at first.
fn begin(bed: &mut Bed, links: &Links) {
    bed.clear();
    for end in [End::Client, End::Server] {
        links.set_mtu(end, 1500);
    }
    bed.follow();
    for setting in ["pmtu_disc=1", "nat_icmp_send=0", "schedule_icmp=0"] {
        bed.set(setting);
    }
}

fn replay(text: &str) {
    let mut place = PLACE.lock().unwrap_or_else(PoisonError::into_inner);
    let (links, bed) = &mut *place;
    begin(bed, links);
    let mut scenario = String::new();
    let mut wrong = Vec::new();
    let (mut possible, mut met) = (BTreeSet::new(), BTreeSet::new());
    for step in transcript::read(text) {
        match step {
            Step::Scenario(name) => {
                bed.clear();
                scenario = name;
            }
            Step::Command(command) => carry_out(bed, links, &command),
            Step::Given(given) => {
                if links.comes_by(given.end) {
                    bed.follow();
                }
                let seen = bed.send(&to_us(&given.frame));
                let mut known = exceptions(&scenario, &given.what).peekable();
                match difference(&given, &seen) {
                    Some(difference) if known.peek().is_none() => {
                        wrong.push(format!("{scenario}: {}: {difference}", given.what));
                    }
                    Some(_) => met.extend(known),
                    None => possible.extend(known),
                }
            }
        }
    }
    for index in possible.difference(&met) {
        wrong.push(format!("no longer so: {:?}", EXCEPTIONS[*index]));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

macro_rules! replays {
    ($($name:ident: $file:literal;)*) => {
        $(#[test]
        fn $name() {
            replay(include_str!(concat!("../../golden/kernel/", $file)));
        })*
    };
}

replays! {
    nat_is_the_kernels: "nat.txt";
    direct_routing_is_the_kernels: "direct.txt";
    tunnels_of_ipv4_in_ipv4_are_the_kernels: "tunnel-4-in-4.txt";
    tunnels_of_ipv4_in_ipv6_are_the_kernels: "tunnel-4-in-6.txt";
    tunnels_of_ipv6_in_ipv4_are_the_kernels: "tunnel-6-in-4.txt";
    tunnels_of_ipv6_in_ipv6_are_the_kernels: "tunnel-6-in-6.txt";
    errors_without_a_connection_are_scheduled_as_the_kernels: "scheduled.txt";
}
