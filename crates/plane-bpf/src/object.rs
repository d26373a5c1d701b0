//! The BPF object: its maps and programs, made new or found pinned.

use std::hash::{DefaultHasher, Hasher};
use std::io;
use std::num::NonZero;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::thread;

use abi::Stage;
use aya::maps::{Map, MapData, ProgramArray};
use aya::programs::{CgroupSockAddr, ProgramError, SchedClassifier, Xdp};
use aya::{Ebpf, EbpfLoader};
use aya_obj::programs::{CgroupSockAddrAttachType, XdpAttachType};
use control::Sizes;

use crate::error::Error;
use crate::pins::Pins;
use crate::sys::{Place, SocketPlace};

const INGRESS: &str = "xvs_ingress";
const EGRESS: &str = "xvs_egress";
const XDP: &str = "xvs_xdp";
const TRACE_INGRESS: &str = "xvs_trace_ingress";
const TRACE_EGRESS: &str = "xvs_trace_egress";
const TRACE_XDP: &str = "xvs_trace_xdp";
const CLOCK: &str = "xvs_clock";
const CONNECT4: &str = "xvs_connect4";
const CONNECT6: &str = "xvs_connect6";
/// What is attached, or run by hand: these programs are pinned.
const PROGRAMS: [&str; 4] = [INGRESS, EGRESS, XDP, CLOCK];
/// What sockets meet, pinned where the kernel takes it: forwarding goes without.
const SOCKET_PROGRAMS: [&str; 2] = [CONNECT4, CONNECT6];

/// Attached while somebody traces, in the places of [`INGRESS`], [`EGRESS`] and [`XDP`].
const TRACE_PROGRAMS: [&str; 3] = [TRACE_INGRESS, TRACE_EGRESS, TRACE_XDP];
/// What the names of all programs begin with that trace only.
const TRACE_PREFIX: &str = "xvs_trace_";

/// The stages behind an entry point: the map that holds their programs, what the programs' names
/// begin with, and which stages there are.
struct Stages {
    map: &'static str,
    prefix: &'static str,
    has: fn(Stage) -> bool,
    /// The entry points, which programs that trace go on with, by the stages that they are.
    entries: &'static [(Stage, &'static str)],
    /// The map of the program that reports, and the program.
    report: (&'static str, &'static str),
}

const STAGES: [Stages; 2] = [
    Stages {
        map: "TC_STAGES",
        prefix: "xvs_tc_",
        has: |stage| !matches!(stage, Stage::Enter | Stage::Depart),
        entries: &[(Stage::Enter, INGRESS), (Stage::Depart, EGRESS)],
        report: ("TC_REPORT", "xvs_trace_tc_report"),
    },
    Stages {
        map: "XDP_STAGES",
        prefix: "xvs_xdp_",
        has: |stage| {
            use Stage::{
                EnterV6, Fullnat, FullnatV6, Lend, LendOther, LendOtherV6, LendV6, Make, MakeV6,
                Onward, OnwardV6, Open, OpenV6, Persist, PersistV6, Return, ReturnV6, Sacks,
                SacksV6, Schedule, Tunnel, TunnelV6,
            };
            matches!(
                stage,
                EnterV6
                    | Open
                    | OpenV6
                    | Persist
                    | PersistV6
                    | Schedule
                    | Make
                    | MakeV6
                    | Onward
                    | OnwardV6
                    | Tunnel
                    | TunnelV6
                    | Fullnat
                    | Lend
                    | LendV6
                    | LendOther
                    | LendOtherV6
                    | FullnatV6
                    | Return
                    | ReturnV6
                    | Sacks
                    | SacksV6
            )
        },
        entries: &[(Stage::Enter, XDP)],
        report: ("XDP_REPORT", "xvs_trace_xdp_report"),
    },
];

/// The maps of which the programs that trace have their own.
const TRACE_MAPS: [&str; 7] = [
    "TC_STAGES",
    "XDP_STAGES",
    "TC_REPORT",
    "XDP_REPORT",
    "TRACE_PROCESSORS",
    "TRACE_FILTERS",
    "TRACE_RECORDS",
];
/// Bytes of records that wait to be read: 1800 records.
const TRACE_BYTES: u32 = 1 << 20;

/// Every map of the object, but for those that only tracing needs.
const MAPS: [&str; 31] = [
    "GLOBALS",
    "RUNTIME",
    "ADDRESSES",
    "ADDRESSES_V6",
    "SERVICES",
    "SERVICE_RUNTIME",
    "MEMBERS",
    "BLOCKS",
    "LOOKUPS",
    "MARK_RULES",
    "LOCALITIES",
    "LOCALITY_SETS",
    "LOCALS",
    "DESTINATIONS",
    "LOADS",
    "NEXT_HOPS",
    "INTERFACES",
    "STATS",
    "REASONS",
    "CARRIES",
    "CONNECTIONS",
    "CONNECTIONS_V6",
    "CLOCK",
    "ROUTES",
    "ROUTES_V6",
    "NEIGHBOURS",
    "REAL_SERVERS",
    "FRAGMENTS",
    "FRAGMENTS_V6",
    "TC_STAGES",
    "XDP_STAGES",
];

/// Folder of the programs' pins.
const FOLDER: &str = "programs";
/// Folder of what there is while somebody traces.
pub const TRACE_FOLDER: &str = "trace";

/// A variant of the programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Variant {
    /// Traces nothing.
    Usual,
    /// Traces.
    Tracing,
}

/// The programs that packets meet, and the one that reads the clock.
#[derive(Debug)]
pub struct Programs {
    ingress: SchedClassifier,
    egress: SchedClassifier,
    xdp: Xdp,
    clock: Xdp,
    connect4: Option<CgroupSockAddr>,
    connect6: Option<CgroupSockAddr>,
    ids: Ids,
    /// The stages' arrays: the kernel empties one that no process and no pin refers to.
    _stages: Vec<MapData>,
}

/// Numbers of the programs in the kernel.
#[derive(Debug)]
struct Ids {
    ingress: u32,
    egress: u32,
    xdp: u32,
}

/// A program in the kernel.
#[derive(Debug, Clone, Copy)]
pub struct Program<'a> {
    /// The program.
    pub file: BorrowedFd<'a>,
    /// Its number in the kernel.
    pub id: u32,
}

impl Programs {
    /// Makes the maps that are not pinned yet, loads this object's programs onto them, and pins
    /// both. Nothing to do where this object's programs are pinned already.
    ///
    /// `sizes` are those of the maps.
    pub fn load(pins: &Pins, sizes: &Sizes) -> Result<Self, Error> {
        let mark = mark();
        if pins.path(&mark).exists()
            && let Ok(found) = Self::open(pins)
        {
            return Ok(found);
        }
        let mut ebpf = load_maps(pins, sizes, Variant::Usual)?;
        load_programs(&mut ebpf, Variant::Usual)?;
        for stages in &STAGES {
            place_stages(&ebpf, pins, stages, Variant::Usual)?;
        }
        // From here on the programs' pins are in doubt, until the mark is there again.
        pins.remove(FOLDER)?;
        pins.make_folder(FOLDER)?;
        for name in PROGRAMS {
            pin_program(&mut ebpf, pins.path(pin(name)), name).map_err(failed(name))?;
        }
        for name in SOCKET_PROGRAMS {
            if let Err(error) = pin_program(&mut ebpf, pins.path(pin(name)), name) {
                tracing::debug!(name, %error, "a program for sockets is left out");
            }
        }
        pins.make_folder(mark)?;
        Self::open(pins)
    }

    /// Loads the programs that trace, onto the same tables. They are not attached yet.
    ///
    /// `sizes` are those of the maps.
    pub fn load_tracing(pins: &Pins, sizes: &Sizes) -> Result<Self, Error> {
        pins.remove(TRACE_FOLDER)?;
        pins.make_folder(TRACE_FOLDER)?;
        let mut ebpf = load_maps(pins, sizes, Variant::Tracing)?;
        load_programs(&mut ebpf, Variant::Tracing)?;
        for stages in &STAGES {
            place_stages(&ebpf, pins, stages, Variant::Tracing)?;
        }
        for name in TRACE_PROGRAMS {
            let path = pins.path(trace_pin(name));
            pin_program(&mut ebpf, path, name).map_err(failed(name))?;
        }
        Self::open_by(pins, trace_pin, TRACE_PROGRAMS)
    }

    fn open(pins: &Pins) -> Result<Self, Error> {
        Self::open_by(pins, pin, [INGRESS, EGRESS, XDP])
    }

    /// Opens the pinned programs; `entries` are the names of what meets packets, and `entry_pin` says
    /// where that is.
    fn open_by(
        pins: &Pins,
        entry_pin: fn(&str) -> String,
        entries: [&'static str; 3],
    ) -> Result<Self, Error> {
        let xdp = |name, pin: String| {
            let found = Xdp::from_pin(pins.path(pin), XdpAttachType::Interface);
            found.map_err(failed(name))
        };
        let tc = |name| SchedClassifier::from_pin(pins.path(entry_pin(name))).map_err(failed(name));
        let [ingress_name, egress_name, xdp_name] = entries;
        let (ingress, egress) = (tc(ingress_name)?, tc(egress_name)?);
        let (xdp, clock) = (xdp(xdp_name, entry_pin(xdp_name))?, xdp(CLOCK, pin(CLOCK))?);
        let socket = |name, kind| CgroupSockAddr::from_pin(pins.path(pin(name)), kind).ok();
        let connect4 = socket(CONNECT4, CgroupSockAddrAttachType::Connect4);
        let connect6 = socket(CONNECT6, CgroupSockAddrAttachType::Connect6);
        let stages = STAGES.iter().map(|stages| map(pins, stages.map));
        let ids = Ids {
            ingress: ingress.info().map_err(failed(ingress_name))?.id(),
            egress: egress.info().map_err(failed(egress_name))?.id(),
            xdp: xdp.info().map_err(failed(xdp_name))?.id(),
        };
        Ok(Self {
            ingress,
            egress,
            xdp,
            clock,
            connect4,
            connect6,
            ids,
            _stages: stages.collect::<Result<_, _>>()?,
        })
    }

    /// The complete path, on TC's ingress.
    pub fn ingress(&self) -> &SchedClassifier {
        &self.ingress
    }

    /// What this machine itself sends, on TC's egress.
    pub fn egress(&self) -> &SchedClassifier {
        &self.egress
    }

    /// The common packet, on XDP.
    pub fn xdp(&self) -> &Xdp {
        &self.xdp
    }

    /// Reads the kernel's tick.
    pub fn clock(&self) -> &Xdp {
        &self.clock
    }

    /// The program that sockets meet at a place, if the kernel took it.
    pub fn for_sockets(&self, place: SocketPlace) -> Option<BorrowedFd<'_>> {
        let program = match place {
            SocketPlace::Connect4 => &self.connect4,
            SocketPlace::Connect6 => &self.connect6,
        };
        Some(program.as_ref()?.fd().expect(OPEN).as_fd())
    }

    /// The program for a place, to attach it there.
    pub fn at(&self, place: Place) -> Program<'_> {
        let (file, id) = match place {
            Place::TcIngress => (self.ingress.fd(), self.ids.ingress),
            Place::TcEgress => (self.egress.fd(), self.ids.egress),
            Place::XdpNative | Place::XdpGeneric => (self.xdp.fd(), self.ids.xdp),
        };
        let file = file.expect(OPEN).as_fd();
        Program { file, id }
    }
}

const OPEN: &str = "a program from a pin is an open file";

/// A pinned map.
pub fn map(pins: &Pins, name: &'static str) -> Result<MapData, Error> {
    let pin = Variant::Usual.map_pin(name);
    MapData::from_pin(pins.path(pin)).map_err(|cause| Error::Map { name, cause })
}

/// A pinned map of the programs that trace.
pub fn trace_map(pins: &Pins, name: &'static str) -> Result<MapData, Error> {
    let pin = Variant::Tracing.map_pin(name);
    MapData::from_pin(pins.path(pin)).map_err(|cause| Error::Map { name, cause })
}

impl Variant {
    /// Where a map is pinned.
    fn map_pin(self, name: &str) -> String {
        match self {
            Self::Tracing if TRACE_MAPS.contains(&name) => trace_pin(name),
            _ => format!("maps/{name}"),
        }
    }

    /// Whether a program is of use.
    fn has(self, name: &str) -> bool {
        match self {
            Self::Usual => !name.starts_with(TRACE_PREFIX),
            Self::Tracing => name != CLOCK && !SOCKET_PROGRAMS.contains(&name),
        }
    }
}

/// Whether there are maps at all.
pub fn has_maps(pins: &Pins) -> bool {
    pins.path(Variant::Usual.map_pin("GLOBALS")).exists()
}

fn object() -> &'static [u8] {
    aya::include_bytes_aligned!(env!("XVS_BPF_OBJECT"))
}

/// A folder among the programs' pins that says that they come from this object. Should the hash
/// function change, the same object is loaded once more, which does no harm.
fn mark() -> String {
    let mut hasher = DefaultHasher::new();
    hasher.write(object());
    format!("{FOLDER}/object-{:016x}", hasher.finish())
}

fn pin(name: &str) -> String {
    format!("{FOLDER}/{name}")
}

fn trace_pin(name: &str) -> String {
    format!("{TRACE_FOLDER}/{name}")
}

fn failed(name: &'static str) -> impl Fn(ProgramError) -> Error {
    move |cause| Error::program(name, cause)
}

/// Makes or opens the maps, and pins them.
fn load_maps(pins: &Pins, sizes: &Sizes, variant: Variant) -> Result<Ebpf, Error> {
    let mut loader = EbpfLoader::new();
    if variant == Variant::Tracing {
        loader.override_global("TRACE", &1u32, true);
        loader.map_max_entries("TRACE_PROCESSORS", sizes.processors);
        loader.map_max_entries("TRACE_RECORDS", TRACE_BYTES);
        for name in TRACE_MAPS {
            loader.map_pin_path(name, pins.path(variant.map_pin(name)));
        }
    }
    let entries = [
        ("ADDRESSES", 2 * sizes.address_cells()),
        ("ADDRESSES_V6", 2 * sizes.address_cells()),
        ("SERVICES", 2 * sizes.service_cells()),
        ("SERVICE_RUNTIME", sizes.services),
        ("MEMBERS", sizes.members),
        ("BLOCKS", sizes.blocks),
        ("LOOKUPS", sizes.lookups),
        ("LOCALS", sizes.local_cells()),
        ("DESTINATIONS", sizes.destinations),
        ("LOADS", sizes.destinations),
        ("NEXT_HOPS", sizes.next_hops),
        ("REAL_SERVERS", sizes.destinations),
        ("STATS", sizes.stats_cells()),
        ("REASONS", sizes.processors),
        ("CARRIES", sizes.processors),
        ("CONNECTIONS", sizes.buckets()),
        ("CONNECTIONS_V6", sizes.buckets_v6()),
    ];
    for (name, number) in entries {
        loader.map_max_entries(name, number);
    }
    for name in MAPS {
        loader.map_pin_path(name, pins.path(variant.map_pin(name)));
    }
    loader.load(object()).map_err(|error| {
        let is_memory = |cause: &io::Error| cause.raw_os_error() == Some(libc::ENOMEM);
        if cause(&error).is_some_and(is_memory) {
            Error::NoMemory
        } else {
            Error::Load(error)
        }
    })
}

/// The kernel's part in an error.
fn cause<'e>(error: &'e (dyn std::error::Error + 'static)) -> Option<&'e io::Error> {
    let mut causes = std::iter::successors(Some(error), |error| error.source());
    causes.find_map(|error| error.downcast_ref())
}

/// Loads a variant's programs. Verifying them is what takes time, so every processor does its part.
fn load_programs(ebpf: &mut Ebpf, variant: Variant) -> Result<(), Error> {
    let wanted = ebpf.programs_mut().filter(|(name, _)| variant.has(name));
    let waiting = Mutex::new(wanted);
    let work = || {
        loop {
            let next = waiting
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .next();
            let Some((name, program)) = next else {
                return Ok(());
            };
            match load_program(program) {
                Err(error) if SOCKET_PROGRAMS.contains(&name) => {
                    tracing::warn!(name, %error, "the kernel refuses a program for sockets");
                }
                loaded => loaded.map_err(|cause| Error::program(name.to_owned(), cause))?,
            }
        }
    };
    let processors = thread::available_parallelism().map_or(1, NonZero::get);
    thread::scope(|scope| {
        let workers: Vec<_> = (0..processors).map(|_| scope.spawn(work)).collect();
        workers.into_iter().try_for_each(|worker| {
            let panicked = |panic| std::panic::resume_unwind(panic);
            worker.join().unwrap_or_else(panicked)
        })
    })
}

fn load_program(program: &mut aya::programs::Program) -> Result<(), ProgramError> {
    match program {
        aya::programs::Program::Xdp(program) => program.load(),
        aya::programs::Program::SchedClassifier(program) => program.load(),
        aya::programs::Program::CgroupSockAddr(program) => program.load(),
        _ => Err(ProgramError::UnexpectedProgramType),
    }
}

/// Puts the programs of stages where their entry point finds them. The map keeps them.
fn place_stages(ebpf: &Ebpf, pins: &Pins, stages: &Stages, variant: Variant) -> Result<(), Error> {
    let there = Stage::ALL.into_iter().filter(|stage| (stages.has)(*stage));
    let mut programs: Vec<(u32, String)> = there
        .map(|stage| (stage as u32, format!("{}{}", stages.prefix, stage.name())))
        .collect();
    if variant == Variant::Tracing {
        let entries = stages.entries.iter();
        programs.extend(entries.map(|(stage, name)| (*stage as u32, (*name).to_owned())));
        let (map, program) = stages.report;
        place(ebpf, pins, (map, variant), &[(0, program.to_owned())])?;
    }
    place(ebpf, pins, (stages.map, variant), &programs)
}

/// Puts programs into an array, by their indices.
fn place(
    ebpf: &Ebpf,
    pins: &Pins,
    (name, variant): (&'static str, Variant),
    programs: &[(u32, String)],
) -> Result<(), Error> {
    let unusable = |cause| Error::Map { name, cause };
    let map = MapData::from_pin(pins.path(variant.map_pin(name))).map_err(unusable)?;
    let mut array = ProgramArray::try_from(Map::ProgramArray(map)).map_err(unusable)?;
    for (index, name) in programs {
        let failed = |cause| Error::program(name.clone(), cause);
        let program = ebpf.program(name).ok_or(ProgramError::NotLoaded);
        let file = program.and_then(|program| program.fd()).map_err(failed)?;
        array.set(*index, file, 0).map_err(unusable)?;
    }
    Ok(())
}

fn pin_program(ebpf: &mut Ebpf, path: impl AsRef<Path>, name: &str) -> Result<(), ProgramError> {
    let program = ebpf.program_mut(name).ok_or(ProgramError::NotLoaded)?;
    let pinned = program.pin(path);
    pinned.map_err(|error| ProgramError::IOError(io::Error::other(error)))
}
