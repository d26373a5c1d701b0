//! The table against a plain list of connections, under any sequence of operations and times.

use std::collections::HashMap;

use proptest::collection::vec;
use proptest::prelude::*;

use crate::support::{
    LONGER, Slots, buckets, connection, doubt, key_of, needed, query, reply, table, take_back,
};
use cell::Cell32;
use conntable::{
    BUCKET_SLOTS, Bucket, Claim, Claimed, Crowding, Died, Handle, Position, Slot as _, SlotV4,
};

/// Few keys in few buckets: slots are taken again and buckets overflow.
const KEYS: u32 = 48;
const BUCKETS: usize = 4;
/// Ticks for which a claim counts.
const CLAIM: u32 = 5;

fn hash(key: u32) -> u32 {
    // Some share a home, some of those the other buckets too.
    [
        0,
        0x4000_0001,
        0x8000_0002,
        0xc100_0004,
        0x0677_0003,
        0x4000_0000,
        0x8ff0_0007,
        0x6bcd_0005,
    ][key as usize % 8]
}

#[derive(Clone, Debug)]
enum Step {
    /// A packet of `key`: makes the connection where there is none.
    Packet {
        key: u32,
        lifetime: u32,
    },
    /// A slot is claimed; it is published some steps later, or never.
    Claim {
        key: u32,
    },
    /// The oldest claim of `Claim` is published.
    Publish {
        lifetime: u32,
    },
    /// A found connection goes to a state and a new lifetime.
    Update {
        key: u32,
        state: u8,
        lifetime: u32,
    },
    End {
        key: u32,
    },
    Sweep {
        bucket: u32,
    },
    Wait {
        ticks: u32,
    },
    /// All marks are doubted.
    Doubt,
    /// It is noted which marks are needed, once all claims from before the doubt are no more.
    Look,
    /// The others are taken back.
    TakeBack,
}

fn step() -> impl Strategy<Value = Step> {
    let key = 0..KEYS;
    let lifetime = prop_oneof![3 => 1u32..60, 1 => Just(1_000)];
    prop_oneof![
        12 => (key.clone(), lifetime.clone())
            .prop_map(|(key, lifetime)| Step::Packet { key, lifetime }),
        2 => key.clone().prop_map(|key| Step::Claim { key }),
        2 => lifetime.clone().prop_map(|lifetime| Step::Publish { lifetime }),
        3 => (key.clone(), 0u8..11, lifetime)
            .prop_map(|(key, state, lifetime)| Step::Update { key, state, lifetime }),
        2 => key.prop_map(|key| Step::End { key }),
        2 => (0..BUCKETS as u32).prop_map(|bucket| Step::Sweep { bucket }),
        4 => (0u32..20).prop_map(|ticks| Step::Wait { ticks }),
        2 => Just(Step::Doubt),
        2 => Just(Step::Look),
        2 => Just(Step::TakeBack),
    ]
}

/// A connection as it should be. Its destination's number is its own: how often one was made.
struct Known {
    key: u32,
    state: u8,
    expiry: u32,
    position: Position,
    epoch: u16,
    ended: bool,
}

struct World<'t> {
    table: Slots<'t>,
    buckets: &'t [Bucket<SlotV4>],
    now: u32,
    crowding: Cell32,
    made: Vec<Known>,
    claims: Vec<(Claimed<'t, SlotV4>, u32, u32)>,
    tidying: Tidying,
}

/// How far somebody has come with the taking back of marks.
enum Tidying {
    Idle,
    /// They were doubted when there were so many claims, of which so many are left.
    Doubted {
        claims: usize,
    },
    Looked {
        needed: HashMap<(u32, u32), u8>,
    },
}

impl<'t> World<'t> {
    /// The connection that a search for `key` must find.
    fn living(&self, key: u32) -> Option<usize> {
        self.made
            .iter()
            .position(|known| known.key == key && self.lives(known))
    }

    fn lives(&self, known: &Known) -> bool {
        !known.ended && (known.expiry.wrapping_sub(self.now) as i32) > 0
    }

    /// One that the table said has died: no other way, no other time, not twice.
    fn died(&mut self, died: Died, by_hand: bool) {
        let lives = self.lives(&self.made[died.destination as usize]);
        let known = &mut self.made[died.destination as usize];
        assert!(!known.ended, "{died:?} a second time");
        assert_eq!(lives, by_hand, "{died:?} at the wrong time");
        assert_eq!((died.state, died.protocol), (known.state, 6));
        known.ended = true;
    }

    fn claim(&mut self, key: u32) -> Option<Claimed<'t, SlotV4>> {
        match self.table.claim(
            hash(key),
            (self.now, self.now.wrapping_add(CLAIM)),
            Crowding(&self.crowding),
        ) {
            Claim::Slot(claimed, died) => {
                if let Some(died) = died {
                    self.died(died, false);
                }
                Some(claimed)
            }
            Claim::Full => {
                self.check_full(key);
                None
            }
        }
    }

    /// `Full` is true: at least two buckets' worth of slots are taken, among them the home's.
    fn check_full(&self, key: u32) {
        let is_taken = |entry: &SlotV4| {
            let word = conntable::Word(conntable::Entry::word(entry).load());
            word.life() != conntable::Life::Free && !word.is_past(self.now)
        };
        let full: Vec<bool> = self
            .buckets
            .iter()
            .map(|b| b.0.iter().all(is_taken))
            .collect();
        assert!(full[self.table.home(hash(key)) as usize]);
        assert!(full.iter().filter(|full| **full).count() >= 2);
        assert!(self.made.len() + self.claims.len() >= 2 * BUCKET_SLOTS);
    }

    fn publish(&mut self, claimed: &Claimed<'t, SlotV4>, key: u32, lifetime: u32) -> bool {
        let expiry = self.now.wrapping_add(lifetime);
        claimed
            .entry
            .write(&connection(key, self.made.len() as u32));
        let Some(word) = self.table.publish(claimed, 1, false, expiry) else {
            return false;
        };
        let (position, epoch) = (claimed.position, word.epoch());
        self.made.push(Known {
            key,
            state: 1,
            expiry,
            position,
            epoch,
            ended: false,
        });
        true
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Packet { key, lifetime } => {
                if self.living(key).is_none()
                    && let Some(claimed) = self.claim(key)
                {
                    assert!(self.publish(&claimed, key, lifetime));
                }
            }
            Step::Claim { key } => {
                if self.living(key).is_none()
                    && let Some(claimed) = self.claim(key)
                {
                    self.claims
                        .push((claimed, key, self.now.wrapping_add(CLAIM)));
                }
            }
            Step::Publish { lifetime } if !self.claims.is_empty() => self.publish_late(lifetime),
            Step::Update {
                key,
                state,
                lifetime,
            } => {
                let Some(found) = self.table.find(hash(key), &query(key), self.now) else {
                    return;
                };
                let expiry = self.now.wrapping_add(lifetime);
                let updated = self
                    .table
                    .update(&found, |word| word.moved(state, true, expiry));
                let (old, new) = updated.expect("nobody else changes it");
                let known = &mut self.made[found.entry.destination() as usize];
                assert_eq!((old.state(), old.expiry()), (known.state, known.expiry));
                assert_eq!(
                    (new.state(), new.expiry(), new.one_way()),
                    (state, expiry, true)
                );
                (known.state, known.expiry) = (state, expiry);
            }
            Step::End { key } => {
                if let Some(found) = self.table.find(hash(key), &query(key), self.now) {
                    let died = self.table.end(&found).expect("nobody else ends it");
                    self.died(died, true);
                    assert!(self.table.end(&found).is_none(), "it ends once");
                }
            }
            Step::Sweep { bucket } => {
                let mut all = Vec::new();
                self.table
                    .sweep(bucket, (self.now, LONGER), |died| all.push(died));
                for died in all {
                    self.died(died, false);
                }
            }
            Step::Wait { ticks } => self.now = self.now.wrapping_add(ticks),
            Step::Doubt => {
                doubt(self.buckets);
                let claims = self.claims.len();
                self.tidying = Tidying::Doubted { claims };
            }
            Step::Look => {
                if matches!(self.tidying, Tidying::Doubted { claims: 0 }) {
                    let needed = needed(self.buckets, |entry| hash(key_of(entry)));
                    self.tidying = Tidying::Looked { needed };
                }
            }
            Step::TakeBack => {
                if let Tidying::Looked { needed } = &self.tidying {
                    take_back(self.buckets, needed);
                    self.tidying = Tidying::Idle;
                }
            }
            Step::Publish { .. } => {}
        }
    }

    /// Publishes the oldest claim, unless somebody else made the connection meanwhile. That may
    /// fail only where the claim has run out.
    fn publish_late(&mut self, lifetime: u32) {
        let (claimed, key, ends) = self.claims.remove(0);
        if let Tidying::Doubted { claims } = &mut self.tidying {
            *claims = claims.saturating_sub(1);
        }
        if self.living(key).is_some() {
            return;
        }
        let ran_out = (ends.wrapping_sub(self.now) as i32) <= 0;
        let word = conntable::Word(conntable::Entry::word(claimed.entry).load());
        if word.epoch() != claimed.word.epoch() || word.life() != conntable::Life::Claimed {
            assert!(ran_out, "a claim was taken away in its time");
            assert!(self.table.publish(&claimed, 1, false, 0).is_none());
            return;
        }
        assert!(self.publish(&claimed, key, lifetime));
    }

    /// Every key is found where it should be and as it should be, and nothing else is.
    fn check(&self) {
        for key in 0..KEYS {
            let destination = self.living(key).unwrap_or_default() as u32;
            for query in [query(key), reply(key, destination)] {
                let found = self.table.find(hash(key), &query, self.now);
                let found = found.map(|found| {
                    let known = &self.made[found.entry.destination() as usize];
                    assert_eq!(
                        (found.word.state(), found.word.expiry()),
                        (known.state, known.expiry)
                    );
                    assert_eq!(
                        (found.position, found.word.epoch()),
                        (known.position, known.epoch)
                    );
                    assert_eq!(key_of(found.entry), key);
                    found.entry.destination() as usize
                });
                assert_eq!(found, self.living(key), "connection {key}");
            }
        }
        for known in &self.made {
            let at = self
                .table
                .at(Handle::new(known.position, known.epoch), self.now);
            assert_eq!(at.is_some(), self.lives(known), "by its place");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn the_table_does_what_a_list_of_connections_would(
        // Most runs cross the wrap of the tick.
        start in prop_oneof![u32::MAX - 400..=u32::MAX, any::<u32>()],
        steps in vec(step(), 1..200),
    ) {
        let buckets = buckets(BUCKETS);
        let mut world = World {
            table: table(&buckets),
            buckets: &buckets,
            now: start,
            crowding: Cell32::new(0),
            made: Vec::new(),
            claims: Vec::new(),
            tidying: Tidying::Idle,
        };
        for step in steps {
            world.step(step);
            world.check();
        }
        // In the end every one that was made has died, and was told of once.
        world.now = world.now.wrapping_add(2_000);
        for bucket in 0..BUCKETS as u32 {
            world.step(Step::Sweep { bucket });
        }
        prop_assert!(world.made.iter().all(|known| known.ended));
        prop_assert!(crate::support::live(&buckets).is_empty());
    }
}
