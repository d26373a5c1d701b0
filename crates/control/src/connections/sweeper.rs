//! The daemon's sweep: frees what has died, counts what lives, takes back marks that nobody needs.

use std::collections::HashSet;
use std::net::IpAddr;
use std::ops::Range;
use std::time::Duration;

use conntable::{BUCKET_SLOTS, Bucket, Kind, Position, Word};

use super::{Listed, held_ticks, settle_death, stretch, table};
use crate::{Plane, aliases};

/// Between two steps of the daemon's sweep.
pub const SWEEP_EVERY: Duration = Duration::from_millis(100);
/// Steps in which a table is swept.
const STEPS: usize = 50;
/// Buckets of a step at most: 160,000 connections, 3 to 4 ms. A table of more than eight million takes
/// more steps.
const MOST_SWEPT: usize = 20_000;

/// Buckets of a step of the daemon's sweep, by which a table's turn comes every few seconds.
pub fn sweep_step(plane: &impl Plane) -> u32 {
    plane.connections().len().div_ceil(STEPS).min(MOST_SWEPT) as u32
}

/// What a sweep over both tables found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Census {
    /// Entries of both tables by destination number: connections, persistence templates and
    /// aliases.
    pub by_destination: Vec<u32>,
    /// The local addresses that aliases hold.
    pub lent: HashSet<IpAddr>,
    /// The table for IPv4.
    pub v4: Fill,
    /// The table for IPv6.
    pub v6: Fill,
}

/// How full a table is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Fill {
    /// Entries: connections, persistence templates and aliases.
    pub entries: u32,
    /// The most slots that a search for a living entry looks at.
    pub longest_probe: u32,
    /// Entries that stand in another bucket than their home.
    pub in_other_buckets: u32,
}

/// Goes through the tables, a stretch at a time, and frees what has died.
#[derive(Debug)]
pub struct Sweeper {
    next: u32,
    census: Census,
    round: Round,
    needed_v4: Needed,
    needed_v6: Needed,
}

impl Sweeper {
    /// A sweep about to begin, over tables whose connections go to this many destinations.
    pub fn new(destinations: u32) -> Self {
        Self {
            next: 0,
            census: Self::empty(destinations as usize),
            round: Round::Doubt,
            needed_v4: Needed::default(),
            needed_v6: Needed::default(),
        }
    }

    fn empty(destinations: usize) -> Census {
        Census {
            by_destination: vec![0; destinations],
            ..Census::default()
        }
    }

    /// Sweeps the next `buckets` buckets. What was found, when the end of the tables is reached;
    /// the next step then begins anew.
    pub fn step(&mut self, plane: &impl Plane, buckets: u32) -> Option<Census> {
        let (v4, v6) = stretch(plane, self.next, buckets);
        let census = &mut self.census;
        let mut of_family = Stretch {
            plane,
            round: self.round,
            by_destination: &mut census.by_destination,
            lent: &mut census.lent,
        };
        of_family.sweep(plane.connections(), v4, &mut census.v4, &mut self.needed_v4);
        of_family.sweep(
            plane.connections_v6(),
            v6,
            &mut census.v6,
            &mut self.needed_v6,
        );
        let all = super::buckets(plane);
        self.next = self.next.saturating_add(buckets).min(all);
        (self.next == all).then(|| {
            self.round = self.round.next(plane);
            self.finish()
        })
    }

    fn finish(&mut self) -> Census {
        self.next = 0;
        let empty = Self::empty(self.census.by_destination.len());
        std::mem::replace(&mut self.census, empty)
    }
}

/// What a sweep over all does about idle marks ([`conntable::marks`]).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Round {
    /// The first one doubts all.
    Doubt,
    /// Every other one looks which are needed.
    Look,
    /// The others take back what was not, and doubt the rest.
    TakeBack,
}

impl Round {
    fn next(self, plane: &impl Plane) -> Self {
        match self {
            Self::Look => Self::TakeBack,
            Self::Doubt | Self::TakeBack => {
                // Until then packets may publish connections whose marks they saw before the doubt.
                plane.wait_for_readers();
                Self::Look
            }
        }
    }
}

/// The marks that connections were seen to need, a byte for each slot of a table.
#[derive(Debug, Default)]
struct Needed(Vec<u8>);

impl Needed {
    /// Of all slots of a table. Pages of it in which nothing is needed take no memory.
    fn of_table<S>(&mut self, buckets: &[Bucket<S>]) -> &mut [u8] {
        if self.0.is_empty() {
            self.0 = vec![0; buckets.len() * BUCKET_SLOTS];
        }
        &mut self.0
    }
}

/// A part of a sweep.
struct Stretch<'a, P> {
    plane: &'a P,
    round: Round,
    by_destination: &'a mut [u32],
    lent: &'a mut HashSet<IpAddr>,
}

impl<P: Plane> Stretch<'_, P> {
    /// Sweeps a stretch of one table, and counts what lives there.
    fn sweep<S: Listed>(
        &mut self,
        buckets: &[Bucket<S>],
        stretch: Range<usize>,
        fill: &mut Fill,
        needed: &mut Needed,
    ) {
        let view = self.plane.view();
        let seed = view.globals.hash_seed.load();
        let table = table(buckets);
        let needed = needed.of_table(buckets);
        let (now, longer) = (self.plane.now(), held_ticks(&view));
        for index in stretch {
            let bucket = index as u32;
            table.sweep(bucket, (now, longer), |died| {
                settle_death(&view, &table, died);
            });
            table.sweep_aliases(bucket, now, |main, alias| {
                aliases::holds::<S>(self.plane, main, alias)
            });
            if self.round == Round::TakeBack {
                for slot in 0..BUCKET_SLOTS as u32 {
                    let position = Position { bucket, slot };
                    let needed = &mut needed[place(position)];
                    table.take_marks_back(position, *needed);
                    if *needed != 0 {
                        *needed = 0;
                    }
                }
            }
            if self.round != Round::Look {
                table.doubt_marks(bucket);
            }
            for (slot, entry) in (0..).zip(&buckets[index].0) {
                if !Word(entry.word().load()).is_live() {
                    continue;
                }
                let (hash, position) = (entry.hash(seed), Position { bucket, slot });
                if self.round == Round::Look {
                    table.needed_marks(hash, position, |begin, marks| {
                        needed[place(begin)] |= marks;
                    });
                }
                let probes = table.probes(hash, position);
                fill.entries += 1;
                fill.longest_probe = fill.longest_probe.max(probes);
                fill.in_other_buckets += u32::from(probes > BUCKET_SLOTS as u32);
                if entry.load().kind == Kind::Alias as u8 {
                    self.lent.insert(S::ip(entry.client()));
                }
                if let Some(count) = self.by_destination.get_mut(entry.destination() as usize) {
                    *count += 1;
                }
            }
        }
    }
}

/// The number of a slot among all of its table.
const fn place(position: Position) -> usize {
    position.bucket as usize * BUCKET_SLOTS + position.slot as usize
}
