//! The BPF object: its maps and programs, made new or found pinned.

use std::hash::{DefaultHasher, Hasher};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use aya::maps::MapData;
use aya::programs::{ProgramError, SchedClassifier, Xdp};
use aya::{Ebpf, EbpfLoader};
use aya_obj::programs::XdpAttachType;
use control::Sizes;

use crate::error::Error;
use crate::pins::Pins;

const INGRESS: &str = "xvs_ingress";
const XDP: &str = "xvs_xdp";
const CLOCK: &str = "xvs_clock";
const PROGRAMS: [&str; 3] = [INGRESS, XDP, CLOCK];

/// Every map of the object.
const MAPS: [&str; 18] = [
    "GLOBALS",
    "RUNTIME",
    "ADDRESSES",
    "SERVICES",
    "SERVICE_RUNTIME",
    "MEMBERS",
    "BLOCKS",
    "DESTINATIONS",
    "LOADS",
    "NEXT_HOPS",
    "INTERFACES",
    "STATS",
    "REASONS",
    "CONNECTIONS",
    "CLOCK",
    "ROUTES",
    "NEIGHBOURS",
    "FRAGMENTS",
];

/// Folder of the programs' pins.
const FOLDER: &str = "programs";

/// The programs that packets meet, and the one that reads the clock.
#[derive(Debug)]
pub struct Programs {
    ingress: SchedClassifier,
    ingress_id: u32,
    xdp: Xdp,
    xdp_id: u32,
    clock: Xdp,
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
        let mut ebpf = load_maps(pins, sizes)?;
        for name in PROGRAMS {
            load_program(&mut ebpf, name).map_err(failed(name))?;
        }
        // From here on the programs' pins are in doubt, until the mark is there again.
        pins.remove(FOLDER)?;
        pins.make_folder(FOLDER)?;
        for name in PROGRAMS {
            pin_program(&mut ebpf, pins, name).map_err(failed(name))?;
        }
        pins.make_folder(mark)?;
        Self::open(pins)
    }

    fn open(pins: &Pins) -> Result<Self, Error> {
        let xdp = |name| {
            let found = Xdp::from_pin(pins.path(pin(name)), XdpAttachType::Interface);
            found.map_err(failed(name))
        };
        let ingress =
            SchedClassifier::from_pin(pins.path(pin(INGRESS))).map_err(failed(INGRESS))?;
        let ingress_id = ingress.info().map_err(failed(INGRESS))?.id();
        let (xdp, clock) = (xdp(XDP)?, xdp(CLOCK)?);
        let xdp_id = xdp.info().map_err(failed(XDP))?.id();
        Ok(Self {
            ingress,
            ingress_id,
            xdp,
            xdp_id,
            clock,
        })
    }

    /// The complete path, on TC's ingress.
    pub fn ingress(&self) -> &SchedClassifier {
        &self.ingress
    }

    /// The common packet, on XDP.
    pub fn xdp(&self) -> &Xdp {
        &self.xdp
    }

    /// Reads the kernel's tick.
    pub fn clock(&self) -> &Xdp {
        &self.clock
    }

    /// The program of TC's ingress, to attach it.
    pub fn for_tc(&self) -> Program<'_> {
        let file = self.ingress.fd().expect(OPEN).as_fd();
        let id = self.ingress_id;
        Program { file, id }
    }

    /// The program of XDP, to attach it.
    pub fn for_xdp(&self) -> Program<'_> {
        let file = self.xdp.fd().expect(OPEN).as_fd();
        let id = self.xdp_id;
        Program { file, id }
    }
}

const OPEN: &str = "a program from a pin is an open file";

/// A pinned map.
pub fn map(pins: &Pins, name: &'static str) -> Result<MapData, Error> {
    MapData::from_pin(pins.path(map_pin(name))).map_err(|cause| Error::Map { name, cause })
}

/// Whether there are maps at all.
pub fn has_maps(pins: &Pins) -> bool {
    pins.path(map_pin("GLOBALS")).exists()
}

fn map_pin(name: &str) -> String {
    format!("maps/{name}")
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

fn failed(name: &'static str) -> impl Fn(ProgramError) -> Error {
    move |cause| Error::program(name, cause)
}

/// Makes or opens the maps, and pins them.
fn load_maps(pins: &Pins, sizes: &Sizes) -> Result<Ebpf, Error> {
    let mut loader = EbpfLoader::new();
    let entries = [
        ("ADDRESSES", 2 * sizes.address_cells()),
        ("SERVICES", 2 * sizes.service_cells()),
        ("SERVICE_RUNTIME", sizes.services),
        ("MEMBERS", sizes.members),
        ("BLOCKS", sizes.blocks),
        ("DESTINATIONS", sizes.destinations),
        ("LOADS", sizes.destinations),
        ("NEXT_HOPS", sizes.next_hops),
        ("STATS", sizes.stats_cells()),
        ("REASONS", sizes.processors),
        ("CONNECTIONS", sizes.buckets()),
    ];
    for (name, number) in entries {
        loader.map_max_entries(name, number);
    }
    for name in MAPS {
        loader.map_pin_path(name, pins.path(map_pin(name)));
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

fn load_program(ebpf: &mut Ebpf, name: &str) -> Result<(), ProgramError> {
    match ebpf.program_mut(name).ok_or(ProgramError::NotLoaded)? {
        aya::programs::Program::Xdp(program) => program.load(),
        aya::programs::Program::SchedClassifier(program) => program.load(),
        _ => Err(ProgramError::UnexpectedProgramType),
    }
}

fn pin_program(ebpf: &mut Ebpf, pins: &Pins, name: &str) -> Result<(), ProgramError> {
    let program = ebpf.program_mut(name).ok_or(ProgramError::NotLoaded)?;
    let pinned = program.pin(pins.path(pin(name)));
    pinned.map_err(|error| ProgramError::IOError(io::Error::other(error)))
}
