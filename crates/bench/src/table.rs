//! The table of connections when it is large: what it takes, and whether it holds what it should.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use abi::Reason;
use plane_bpf::Hook;

use crate::case::{Case, MILLION, Way};
use crate::director::Bench;
use crate::error::Error;
use crate::method::Method;
use crate::object::{Object, Tested};
use crate::packets::surroundings;
use crate::report::{Group, Row};

/// Slots of a table of which those that are held take 65 per cent.
const SLOTS: u32 = 16_200_000;
/// Slots of one that has [`BYTES`] for each connection that is held.
const AMPLE: u32 = 32_400_000;
/// Batches of [`MILLION`] connections that are held at once.
const HELD: u32 = 10;
/// Batches that take their places, one a second.
const REPLACED: u32 = 60;
/// How long a connection lives after its first segment, in seconds: SYN_RECV, as IPVS has it.
const LIFE: f64 = 60.0;
/// All flows that the front program can tell apart.
const ALL_FLOWS: u32 = 1 << 28;
/// The share of slots in use up to which no insertion may be refused, in percent.
const MUST_HOLD: u32 = 70;
/// What a connection may take, in bytes.
const BYTES: f64 = 100.0;
/// Buckets that are counted at once.
const STRETCH: u32 = 1 << 12;

/// Measures large tables: once, as it takes minutes.
///
/// # Errors
/// When the kernel refuses, for want of memory perhaps, or packets went another way than they should.
pub fn measure() -> Result<Vec<Group>, Error> {
    let mut refused = Vec::new();
    let table = of(SLOTS, |table| {
        refused = table.refused_by_load()?;
        table.bench.forget_connections();
        Ok(())
    })?;
    let ample = of(AMPLE, |_| Ok(()))?;
    let what = "New connections that find no place, of a million, in the smaller table";
    let refused = Group::new(what, "connections", NOTHING, refused);
    Ok(vec![table, refused, ample])
}

/// What a group is compared with that has no peer.
const NOTHING: &str = "itself";

/// Measures a table of so many slots, after what is to be done `first` with it.
fn of(slots: u32, first: impl FnOnce(&mut Table<'_>) -> Result<(), Error>) -> Result<Group, Error> {
    let mut object = Object::load()?;
    let mut bench = Bench::with_slots(surroundings(), Method::NAT, slots)?;
    let pins = bench.pins();
    object.test(Hook::Xdp, Tested::Director(&pins))?;
    let mut table = Table {
        object: &mut object,
        bench: &mut bench,
        next: 0,
    };
    first(&mut table)?;
    let held = table.replace()?;
    let mut rows = vec![one(
        "bytes a connection, all tables together, 10 M connections",
        table.bench.table_bytes()? as f64 / (f64::from(HELD) * f64::from(MILLION)),
        BYTES,
    )];
    let begin = Instant::now();
    table.bench.sweep();
    rows.push(one(
        "ms, to sweep all of them",
        begin.elapsed().as_secs_f64() * 1e3,
        None,
    ));
    rows.extend(held);
    let title = format!("A table of {slots} connections");
    Ok(Group::new(title, "", NOTHING, rows))
}

fn one(case: impl Into<String>, value: f64, goal: impl Into<Option<f64>>) -> Row {
    Row::of(case, vec![value], |value| value).with_goal(goal)
}

struct Table<'a> {
    object: &'a mut Object,
    bench: &'a mut Bench,
    /// The first flow that has had no connection yet.
    next: u32,
}

/// What became of a million new connections.
struct Batch {
    seconds: f64,
    refused: u64,
}

impl Table<'_> {
    /// Opens a million connections that were never there.
    fn open(&mut self) -> Result<Batch, Error> {
        let case = Case {
            way: Way::New,
            ..Case::known(Method::NAT, ALL_FLOWS)
        };
        let mut pattern = case.pattern();
        pattern.first = self.next;
        self.next += MILLION;
        self.object.write(&pattern)?;
        let before = self.bench.counted();
        let begin = Instant::now();
        self.object.run(Hook::Xdp, MILLION)?;
        let seconds = begin.elapsed().as_secs_f64();
        let after = self.bench.counted();
        let refused = after.since(&before, Reason::TableFull);
        let found = after.since(&before, Reason::Forwarded);
        if found + refused != u64::from(MILLION) {
            return Err(Error::WentElsewhere {
                case: case.to_string(),
                expected: MILLION.into(),
                found,
                others: after.words_since(&before),
            });
        }
        Ok(Batch { seconds, refused })
    }

    /// Fills the table, a million at a time.
    fn refused_by_load(&mut self) -> Result<Vec<Row>, Error> {
        let mut rows = Vec::new();
        let mut inside = 0;
        while inside < u64::from(SLOTS) * 9 / 10 {
            let refused = self.open()?.refused;
            inside += u64::from(MILLION) - refused;
            let percent = (inside * 100 / u64::from(SLOTS)) as u32;
            let goal = (percent <= MUST_HOLD).then_some(0.0);
            rows.push(one(
                format!("up to {percent} % of the slots"),
                refused as f64,
                goal,
            ));
        }
        Ok(rows)
    }

    /// Holds ten million connections for a minute, while a million a second end and as many begin, and
    /// the daemon sweeps. The clock goes faster than the time, so that they end when they should.
    fn replace(&mut self) -> Result<Vec<Row>, Error> {
        let (mut seconds, mut refused) = (Vec::new(), 0);
        for number in 0..HELD + REPLACED {
            let begin = Instant::now();
            let batch = self.open()?;
            if number >= HELD {
                seconds.push(batch.seconds);
                refused += batch.refused;
            }
            self.bench.sweep_a_second();
            let rest = Duration::from_secs(1).saturating_sub(begin.elapsed());
            std::thread::sleep(rest);
            let shift = LIFE / f64::from(HELD) - begin.elapsed().as_secs_f64();
            self.bench.advance(shift.max(0.0));
        }
        // Time to count them in, before they end.
        self.bench.advance(-LIFE / 2.0);
        // The oldest of those held may have ended meanwhile.
        let expected = u64::from(MILLION) * u64::from(HELD - 1);
        let lost = expected
            - self
                .alive_from(self.next - MILLION * (HELD - 1))
                .min(expected);
        let case = |what| format!("10 M held, 1 M replaced a second, 60 s: {what}");
        Ok(vec![
            Row::of(case("seconds for a million"), seconds, |median| median).with_goal(1.0),
            one(case("refused"), refused as f64, 0.0),
            one(case("lost"), lost as f64, 0.0),
        ])
    }

    /// Living connections of this flow and those after it.
    fn alive_from(&self, first: u32) -> u64 {
        let buckets = self.bench.buckets();
        let mut alive = 0;
        for stretch in (0..buckets).step_by(STRETCH as usize) {
            let entries = self.bench.connections(stretch, STRETCH);
            let flows = entries.iter().filter_map(|entry| match entry.client.ip() {
                IpAddr::V4(client) => Some(crate::pattern::flow(client, entry.client.port())),
                IpAddr::V6(_) => None,
            });
            alive += flows.filter(|flow| *flow >= first).count() as u64;
        }
        alive
    }
}
