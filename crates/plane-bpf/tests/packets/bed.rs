//! Four directors that get the same packets and must do the same.

use std::env;
use std::fs;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};

use abi::{Needs, REASONS, Reason, TraceHook, TraceProcessor};
use control::interfaces::Interface;
use control::nexthops::Network;
use control::{Director, Plane as _, Sizes};
use forward::Action;
use model::{Command, SettingRequest, TracedConnection};
use nix::sched::{CpuSet, sched_setaffinity};
use nix::unistd::Pid;
use plane_bpf::{Hook, Plane, Ran};
use plane_user::{Frame, Memory, Outcome, Overlay};

use crate::frames::{unnumbered, without_tag};
use crate::lan::{IFINDEX, Lan};

const SEED: u32 = 42;
/// ICMP errors a second, and at once.
const UNLIMITED: u32 = 1 << 30;
/// Seconds: that of an established TCP connection.
const LONGEST_TIMEOUT: u32 = 900;

/// What all directors did with a packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    pub action: Action,
    /// The verdict's reason.
    pub reason: Reason,
    /// Every reason that was counted, the notes included.
    pub counted: Vec<Reason>,
    pub bytes: Vec<u8>,
}

/// Where a packet can be run by hand.
pub trait Hooks: control::Peek {
    fn at_tc(&self, frame: &[u8]) -> Option<(Action, Vec<u8>)>;
    fn at_xdp(&self, frame: &[u8]) -> Option<(Action, Vec<u8>)>;
}

impl Hooks for Memory {
    fn at_tc(&self, frame: &[u8]) -> Option<(Action, Vec<u8>)> {
        let outcome = Frame::<true>::new(self, IFINDEX, frame).process();
        let mut bytes = outcome.copies.concat();
        if outcome.verdict.action() != Action::Consume {
            bytes.extend(outcome.bytes);
        }
        Some((outcome.verdict.action(), bytes))
    }

    fn at_xdp(&self, frame: &[u8]) -> Option<(Action, Vec<u8>)> {
        let outcome = Frame::<false>::new(self, IFINDEX, frame).process();
        Some((outcome.verdict.action(), outcome.bytes))
    }
}

/// The directors on the heap have one processor, and the kernel's keep by processor how full they
/// find their tables.
fn stay_on_one_processor() {
    let mut first = CpuSet::new();
    first.set(0).expect("there is one");
    sched_setaffinity(Pid::from_raw(0), &first).expect("and it is ours");
}

/// A frame run by hand, unless the kernel refuses to: it wants a byte behind the Ethernet header,
/// and at TC all of the IP header that it announces.
fn by_hand(plane: &Plane, hook: Hook, frame: &[u8]) -> Option<Ran> {
    const ALWAYS_RUN: usize = 14 + 40;
    stay_on_one_processor();
    match plane.run(hook, frame, 1) {
        Ok(ran) => Some(ran),
        Err(error) if frame.len() >= ALWAYS_RUN => panic!("{error}: {frame:02x?}"),
        Err(_) => None,
    }
}

impl Hooks for Plane {
    fn at_tc(&self, frame: &[u8]) -> Option<(Action, Vec<u8>)> {
        let ran = by_hand(self, Hook::Ingress, frame)?;
        // linux/pkt_cls.h: TC_ACT_OK, TC_ACT_SHOT, TC_ACT_REDIRECT.
        let action = match ran.code {
            0 => Action::Pass,
            2 => Action::Drop,
            4 => Action::Consume,
            7 => Action::Send,
            code => panic!("the TC program returned {code}"),
        };
        Some((action, ran.frame))
    }

    fn at_xdp(&self, frame: &[u8]) -> Option<(Action, Vec<u8>)> {
        let ran = by_hand(self, Hook::Xdp, frame)?;
        // linux/bpf.h: XDP_DROP, XDP_PASS, XDP_REDIRECT.
        let action = match ran.code {
            1 => Action::Drop,
            2 => Action::Pass,
            4 => Action::Send,
            code => panic!("the XDP program returned {code}"),
        };
        Some((action, ran.frame))
    }
}

/// Where the directors stand: the network that they believe in. Clones share what changes.
pub trait Site: Network + Clone + Send + 'static {
    /// What they are told at first.
    fn commands(&self) -> Vec<Command>;
    /// The interface that every frame comes in by.
    fn interface(&self) -> Interface;
}

/// What a packet would meet: nobody sends it, and no table changes.
fn explained<P: control::Peek>(plane: &P, frame: &[u8], xdp_first: bool) -> Seen {
    let overlay = Overlay::new(plane, SEED);
    let seen = |(outcome, taken_down): (Outcome, TraceProcessor)| {
        let record = &taken_down.record;
        assert_eq!(record.reason.load(), outcome.verdict.reason() as u32);
        assert_eq!(record.before.length.load() as usize, frame.len());
        assert_eq!(record.after.length.load() as usize, outcome.bytes.len());
        let action = outcome.verdict.action();
        let mut bytes = outcome.copies.concat();
        if !matches!(action, Action::Drop | Action::Consume) {
            bytes.extend(outcome.bytes);
        }
        Seen {
            action,
            reason: outcome.verdict.reason(),
            counted: Vec::new(),
            bytes,
        }
    };
    if xdp_first {
        let at_xdp = Frame::<false, _>::new(&overlay, IFINDEX, frame).trace(TraceHook::Xdp, 0);
        if at_xdp.0.verdict.action() != Action::Pass {
            return seen(at_xdp);
        }
    }
    seen(Frame::<true, _>::new(&overlay, IFINDEX, frame).trace(TraceHook::Ingress, 0))
}

/// Time stands still on the heap, and goes on in the kernel.
fn allow_all_errors(view: &abi::View<'_>) {
    view.globals.icmp_burst.store(UNLIMITED);
    view.globals.icmp_per_second.store(UNLIMITED);
}

struct World<P, S> {
    name: &'static str,
    director: Director<P>,
    site: S,
    xdp_first: bool,
}

/// A director, wherever it runs.
trait Side {
    fn name(&self) -> &'static str;
    fn send(&self, frame: &[u8]) -> Option<Seen>;
    fn apply(&mut self, commands: &[Command]);
    fn set(&mut self, setting: &SettingRequest);
    /// Takes in what has changed in the network.
    fn follow(&mut self);
    fn view(&self) -> abi::View<'_>;
    /// Frees what has died.
    fn sweep(&self);
    /// Name of the state of the connection from a client's port, `-` where there is none.
    fn state(&self, port: u16) -> String;
    /// The connection that a trace would tell for a packet, which nobody sends.
    fn traced(&self, frame: &[u8]) -> Option<TracedConnection>;
}

impl<P: Hooks, S: Site> World<P, S> {
    fn new(name: &'static str, plane: P, sizes: Sizes, site: &S) -> Self {
        plane.view().globals.hash_seed.store(SEED);
        let mut director = Director::new(plane, sizes);
        for outcome in director.apply(&site.commands(), site) {
            outcome.unwrap();
        }
        allow_all_errors(&director.plane().view());
        let xdp_first = name.contains("XDP");
        let mut world = Self {
            name,
            director,
            site: site.clone(),
            xdp_first,
        };
        world.follow();
        world
    }

    fn counters(&self) -> [u64; REASONS] {
        let view = self.director.plane().view();
        std::array::from_fn(|reason| {
            view.reasons
                .iter()
                .map(|processor| processor.0[reason].load())
                .sum()
        })
    }

    /// XDP first, where it is there, and TC if that passes the packet up.
    fn run(&self, frame: &[u8]) -> Option<(Action, Vec<u8>)> {
        let plane = self.director.plane();
        if self.xdp_first {
            let before = self.verdicts();
            let (action, bytes) = plane.at_xdp(frame)?;
            if action != Action::Pass {
                return Some((action, bytes));
            }
            assert_eq!(
                bytes, frame,
                "{}: XDP passes a packet up untouched",
                self.name
            );
            assert_eq!(
                self.verdicts(),
                before,
                "{}: and leaves the counting",
                self.name
            );
        }
        plane.at_tc(frame)
    }

    fn verdicts(&self) -> u64 {
        let counters = self.counters();
        let reasons = Reason::ALL.iter().filter(|reason| is_verdict(**reason));
        reasons.map(|reason| counters[*reason as usize]).sum()
    }
}

fn is_verdict(reason: Reason) -> bool {
    reason.outcome() != abi::Outcome::Note
}

impl<P: Hooks, S: Site> Side for World<P, S> {
    fn name(&self) -> &'static str {
        self.name
    }

    fn send(&self, frame: &[u8]) -> Option<Seen> {
        let before = self.counters();
        let expected = explained(self.director.plane(), frame, self.xdp_first);
        assert_eq!(self.counters(), before, "an explanation changes nothing");
        let (action, bytes) = self.run(frame)?;
        let after = self.counters();
        let counted: Vec<Reason> = Reason::ALL
            .iter()
            .flat_map(|&reason| {
                let times = after[reason as usize] - before[reason as usize];
                std::iter::repeat_n(reason, times as usize)
            })
            // Who frees a dead connection first depends on the time.
            .filter(|reason| *reason != Reason::Expired)
            .collect();
        let verdicts: Vec<Reason> = counted
            .iter()
            .copied()
            .filter(|reason| is_verdict(*reason))
            .collect();
        let [reason] = verdicts[..] else {
            panic!(
                "{}: a packet has one reason, not {verdicts:?}: {frame:02x?}",
                self.name
            );
        };
        // What becomes of the bytes of a packet that is dropped does not matter.
        let bytes = if action == Action::Drop {
            Vec::new()
        } else {
            unnumbered(&bytes, frame)
        };
        let expected = Seen {
            bytes: unnumbered(&expected.bytes, frame),
            ..expected
        };
        let is_tag_hidden = bytes == without_tag(&expected.bytes);
        assert_eq!(
            (
                expected.action,
                expected.reason,
                is_tag_hidden || expected.bytes == bytes
            ),
            (action, reason, true),
            "{}: what was explained of {frame:02x?}",
            self.name
        );
        Some(Seen {
            action,
            reason,
            counted,
            bytes,
        })
    }

    fn apply(&mut self, commands: &[Command]) {
        for outcome in self.director.apply(commands, &self.site) {
            outcome.unwrap();
        }
    }

    fn set(&mut self, setting: &SettingRequest) {
        self.director.set(std::slice::from_ref(setting)).unwrap();
        allow_all_errors(&self.view());
    }

    fn follow(&mut self) {
        self.director.follow(&self.site).unwrap();
        let interface = Interface {
            xdp: self.xdp_first,
            ..self.site.interface()
        };
        let left_out = control::interfaces::publish(&self.view(), &[interface]);
        assert_eq!(left_out, 0);
    }

    fn view(&self) -> abi::View<'_> {
        self.director.plane().view()
    }

    fn sweep(&self) {
        control::connections::sweep_dead(self.director.plane());
    }

    fn state(&self, port: u16) -> String {
        let plane = self.director.plane();
        let buckets = plane.connections().len() as u32;
        let all = control::connections::list(plane, 0, buckets).unwrap();
        let found = all.iter().find(|entry| entry.client.port() == port);
        found.map_or("-".into(), |entry| entry.state.clone().into_owned())
    }

    fn traced(&self, frame: &[u8]) -> Option<TracedConnection> {
        let overlay = Overlay::new(self.director.plane(), SEED);
        let frame = Frame::<true, _>::new(&overlay, IFINDEX, frame);
        let (_, taken_down) = frame.trace(TraceHook::Ingress, 0);
        let told = control::trace::told(&taken_down.record, &self.view(), 0, |_| None);
        told.connection
    }
}

/// The directors.
pub struct Bed {
    sides: Vec<Box<dyn Side + Send>>,
}

fn kernel<S: Site>(name: &'static str, sizes: Sizes, site: &S) -> World<Plane, S> {
    World::new(name, kernel_plane(sizes), sizes, site)
}

/// The programs, loaded with tables of their own.
pub fn kernel_plane(sizes: Sizes) -> Plane {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let number = NUMBER.fetch_add(1, Ordering::SeqCst);
    // A name by which the tests of the kernel's side find what a killed run left.
    let root = env::temp_dir().join(format!("xvspl-{}-bed{number}", std::process::id()));
    let state = root.join("1");
    let plane = Plane::create(&state, &sizes).expect("the data plane loads; tests of it need root");
    plane.prepare(Needs::ALL).expect("the programs load");
    // It lives on by what this process holds of it, and ends with it, however that ends.
    plane_bpf::remove(&state).expect("what was just pinned can be removed");
    fs::remove_dir(root).expect("the file system of the pins was all that was in it");
    plane
}

fn native<S: Site>(name: &'static str, sizes: Sizes, site: &S) -> World<Memory, S> {
    let memory = Memory::new(&sizes, SEED);
    memory.set_tick(1_000_000);
    World::new(name, memory, sizes, site)
}

impl Bed {
    /// All four, without connections. One for all tests that leave settings and services alone, as
    /// loading the programs takes its time.
    pub fn shared() -> MutexGuard<'static, Self> {
        static BED: LazyLock<Mutex<Bed>> = LazyLock::new(|| Mutex::new(Bed::new()));
        Self::cleared(&BED)
    }

    /// One that several tests use, each by itself.
    pub fn cleared(bed: &'static LazyLock<Mutex<Self>>) -> MutexGuard<'static, Self> {
        // A test that failed leaves nothing that is not cleared here.
        let bed = bed.lock().unwrap_or_else(PoisonError::into_inner);
        bed.clear();
        bed
    }

    /// Lets all connections die.
    pub fn clear(&self) {
        // Templates go when no connection goes by them any more.
        for _ in 0..2 {
            self.advance(LONGEST_TIMEOUT + 1);
            self.sweep();
        }
        self.change(|view| {
            view.carries
                .iter()
                .for_each(|carry| carry.identified.store(0))
        });
        assert_eq!(self.connections(), (0, 0));
    }

    /// All four, with tables as small as they get.
    pub fn new() -> Self {
        Self::at(&Lan)
    }

    /// All four, somewhere else.
    pub fn at<S: Site>(site: &S) -> Self {
        let sizes = Self::sizes();
        Self {
            sides: vec![
                Box::new(native("native TC", sizes, site)),
                Box::new(native("native XDP", sizes, site)),
                Box::new(kernel("TC in the kernel", sizes, site)),
                Box::new(kernel("XDP in the kernel", sizes, site)),
            ],
        }
    }

    /// The two on the heap.
    pub fn native() -> Self {
        let sizes = Self::sizes();
        Self {
            sides: vec![
                Box::new(native("native TC", sizes, &Lan)),
                Box::new(native("native XDP", sizes, &Lan)),
            ],
        }
    }

    fn sizes() -> Sizes {
        let processors = plane_bpf::processors().unwrap();
        Sizes::chosen(Sizes::MIN_CONNECTIONS, 32, 64, processors).unwrap()
    }

    /// Gives a packet to all; returns what all did.
    pub fn send(&self, frame: &[u8]) -> Seen {
        let mut seen = self
            .sides
            .iter()
            .map(|side| (side.name(), side.send(frame)));
        let (first, expected) = seen.next().unwrap();
        let expected = expected.expect("the heap takes every packet");
        for (name, seen) in seen {
            let Some(seen) = seen else { continue };
            // A tag that the kernel adds at TC is beside the frame, which a run by hand hides.
            let hidden = name == "TC in the kernel" && without_tag(&expected.bytes) == seen.bytes;
            let expected = if hidden {
                Seen {
                    bytes: seen.bytes.clone(),
                    ..expected.clone()
                }
            } else {
                expected.clone()
            };
            assert_eq!(
                seen, expected,
                "{name} differs from {first} about {frame:02x?}"
            );
        }
        expected
    }

    /// Gives a packet to all, which must meet this verdict; returns the frame that leaves.
    pub fn must(&self, frame: &[u8], action: Action, reason: Reason) -> Vec<u8> {
        let seen = self.send(frame);
        assert_eq!((seen.action, seen.reason), (action, reason), "{seen:02x?}");
        if action == Action::Pass {
            assert_eq!(seen.bytes, frame, "what is passed up is untouched");
        }
        seen.bytes
    }

    /// The connection that a trace would tell for a packet, which nobody sends.
    pub fn traced(&self, frame: &[u8]) -> Option<TracedConnection> {
        let mut told = self.sides.iter().map(|side| side.traced(frame));
        let first = told.next().unwrap();
        told.for_each(|other| assert_eq!(other, first));
        first
    }

    /// Carries out commands everywhere.
    pub fn apply(&mut self, commands: &[Command]) {
        self.sides.iter_mut().for_each(|side| side.apply(commands));
    }

    /// Makes a setting everywhere, as in `pmtu_disc=1`.
    pub fn set(&mut self, setting: &str) {
        let request = setting.parse().unwrap();
        self.sides.iter_mut().for_each(|side| side.set(&request));
    }

    /// Takes in everywhere what has changed in the network.
    pub fn follow(&mut self) {
        self.sides.iter_mut().for_each(|side| side.follow());
    }

    /// Changes tables everywhere.
    pub fn change(&self, change: impl Fn(abi::View<'_>)) {
        self.sides.iter().for_each(|side| change(side.view()));
    }

    /// Looks at the tables everywhere.
    pub fn each(&self, mut look: impl FnMut(abi::View<'_>)) {
        self.sides.iter().for_each(|side| look(side.view()));
    }

    /// Frees what has died, everywhere.
    pub fn sweep(&self) {
        self.sides.iter().for_each(|side| side.sweep());
    }

    /// Lets time pass.
    pub fn advance(&self, seconds: u32) {
        self.change(|view| {
            let ticks = seconds * view.globals.ticks_per_second.load();
            let offset = view.globals.clock_offset.load();
            view.globals.clock_offset.store(offset.wrapping_add(ticks));
        });
    }

    /// Active and inactive connections of all destinations together, which all agree on.
    pub fn connections(&self) -> (u32, u32) {
        let count = |side: &dyn Side| {
            let loads = side.view().loads;
            let sum = |cell: fn(&abi::LoadCell) -> u32| loads.iter().map(cell).sum::<u32>();
            (
                sum(|load| load.active.load()),
                sum(|load| load.inactive.load()),
            )
        };
        let counts: Vec<(u32, u32)> = self.sides.iter().map(|side| count(side.as_ref())).collect();
        assert!(counts.windows(2).all(|two| two[0] == two[1]), "{counts:?}");
        counts[0]
    }

    /// Name of the state of the connection from a client's port, `-` where there is none.
    pub fn state(&self, port: u16) -> String {
        let states: Vec<String> = self.sides.iter().map(|side| side.state(port)).collect();
        assert!(states.windows(2).all(|two| two[0] == two[1]), "{states:?}");
        states[0].clone()
    }
}
