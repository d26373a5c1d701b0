//! Neighbours are told no faster than they can take it (`garp_interval`, `gna_interval`, `garp_group`).

use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;
use std::time::{Duration, Instant};

use crate::holding::Target;
use crate::plan::Paces;

/// Timers are late by about as much. Within it, the next message counts from when this one was due.
const LATENESS: Duration = Duration::from_millis(2);

/// Messages of one family on interfaces that share a pace.
#[derive(Debug)]
struct Lane {
    interval: Duration,
    waiting: VecDeque<Target>,
    /// When the next one may leave.
    free_at: Instant,
}

/// By an interface's name, or the first one's of its group, and whether it is IPv6.
type Key = (String, bool);

/// Messages to neighbours that wait for their turn.
#[derive(Debug, Default)]
pub(crate) struct Pacer {
    paces: Paces,
    lanes: BTreeMap<Key, Lane>,
}

impl Pacer {
    /// Goes by other paces. What waits leaves as it was to.
    pub fn set(&mut self, paces: Paces) {
        self.paces = paces;
    }

    /// Lets messages about these addresses wait, so many of each. They take the place of earlier ones.
    pub fn put(&mut self, targets: &[Target], rounds: u32, now: Instant) {
        for target in targets {
            self.forget(target.address.address);
        }
        for _ in 0..rounds {
            for target in targets {
                let (key, interval) = self.lane_of(target);
                let lane = self.lanes.entry(key).or_insert_with(|| Lane {
                    interval,
                    waiting: VecDeque::new(),
                    free_at: now,
                });
                lane.interval = interval;
                lane.waiting.push_back(target.clone());
            }
        }
    }

    /// Nothing is told of this address any more.
    pub fn forget(&mut self, address: IpAddr) {
        for lane in self.lanes.values_mut() {
            lane.waiting
                .retain(|waiting| waiting.address.address != address);
        }
    }

    /// The next message that may leave now.
    pub fn take(&mut self, now: Instant) -> Option<Target> {
        let mut lanes = self.lanes.values_mut();
        let lane = lanes.find(|lane| lane.free_at <= now && !lane.waiting.is_empty())?;
        let since = now.saturating_duration_since(lane.free_at);
        let from = if since < LATENESS { lane.free_at } else { now };
        lane.free_at = from + lane.interval;
        lane.waiting.pop_front()
    }

    /// When there is one.
    pub fn next(&self) -> Option<Instant> {
        let waiting = self.lanes.values().filter(|lane| !lane.waiting.is_empty());
        waiting.map(|lane| lane.free_at).min()
    }

    fn lane_of(&self, target: &Target) -> (Key, Duration) {
        let name = &target.physical;
        let mut groups = self.paces.groups.iter();
        let group = groups.find(|group| group.interfaces.contains(name));
        let (first, pace) = match group {
            Some(group) => (group.interfaces.first().unwrap_or(name), group.pace),
            None => (name, self.paces.usual),
        };
        let ipv6 = target.address.address.is_ipv6();
        let interval = if ipv6 { pace.advertisement } else { pace.arp };
        ((first.clone(), ipv6), interval)
    }
}

#[cfg(test)]
mod tests {
    use config::model::{GarpGroup, Pace};
    use net::{Link, LinkKind};

    use super::*;
    use crate::plan::VirtualAddress;

    const MS: Duration = Duration::from_millis(1);

    fn target(interface: &str, address: &str) -> Target {
        let link = Link {
            ifindex: 2,
            name: interface.to_owned(),
            kind: LinkKind::Physical,
            ethernet: true,
            mac: None,
            mtu: 1500,
            mtu_v6: None,
            admin_up: true,
            carrier: true,
            no_arp: false,
            master: None,
            lower: None,
            peer_netns: None,
            xdp: None,
            parent_device: None,
        };
        Target {
            physical: link.name.clone(),
            link,
            address: VirtualAddress::new(address.parse().expect("an address"), None),
            accepted: true,
        }
    }

    fn pacer() -> Pacer {
        let pace = |arp, advertisement| Pace { arp, advertisement };
        let mut pacer = Pacer::default();
        pacer.set(Paces {
            groups: vec![GarpGroup {
                interfaces: vec!["eth1".to_owned(), "eth2".to_owned()],
                pace: pace(100 * MS, Duration::ZERO),
            }],
            usual: pace(10 * MS, 30 * MS),
        });
        pacer
    }

    /// What leaves in the milliseconds up to `end`, and when.
    fn leaves(pacer: &mut Pacer, start: Instant, end: u32) -> Vec<(u32, String)> {
        let mut left = Vec::new();
        for ms in 0..end {
            while let Some(target) = pacer.take(start + ms * MS) {
                left.push((ms, target.address.address.to_string()));
            }
        }
        assert_eq!(pacer.next(), None);
        left
    }

    #[test]
    fn each_interface_and_family_has_a_pace_of_its_own() {
        let (mut pacer, now) = (pacer(), Instant::now());
        let targets = ["192.0.2.1", "192.0.2.2", "2001:db8::1"].map(|one| target("eth0", one));
        pacer.put(&targets, 2, now);
        let left = leaves(&mut pacer, now, 100);
        let expected = [
            (0, "192.0.2.1"),
            (0, "2001:db8::1"),
            (10, "192.0.2.2"),
            (20, "192.0.2.1"),
            (30, "192.0.2.2"),
            (30, "2001:db8::1"),
        ];
        assert_eq!(left, expected.map(|(at, what)| (at, what.to_owned())));
    }

    #[test]
    fn the_interfaces_of_a_group_share_one() {
        let (mut pacer, now) = (pacer(), Instant::now());
        let targets = [
            target("eth2", "192.0.2.1"),
            target("eth1", "192.0.2.2"),
            target("eth1", "2001:db8::1"),
        ];
        pacer.put(&targets, 1, now);
        let left = leaves(&mut pacer, now, 200);
        let expected = [(0, "192.0.2.1"), (0, "2001:db8::1"), (100, "192.0.2.2")];
        assert_eq!(left, expected.map(|(at, what)| (at, what.to_owned())));
    }

    #[test]
    fn what_is_released_is_told_of_no_more() {
        let (mut pacer, now) = (pacer(), Instant::now());
        let targets = ["192.0.2.1", "192.0.2.2"].map(|one| target("eth0", one));
        pacer.put(&targets, 5, now);
        assert!(pacer.take(now).is_some());
        pacer.forget(targets[0].address.address);
        pacer.put(&targets[1..], 1, now);
        let left = leaves(&mut pacer, now, 100);
        assert_eq!(left, [(10, "192.0.2.2".to_owned())]);
    }
}
