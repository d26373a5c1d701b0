//! The programs, loaded as far as they are needed, and pinned.

use std::io;
use std::num::NonZero;
use std::os::fd::AsFd;
use std::os::fd::BorrowedFd;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::thread;

use abi::Needs;
use aya::Ebpf;
use aya::maps::MapData;
use aya::programs::{CgroupSockAddr, ProgramError, SchedClassifier, Xdp};
use aya_obj::programs::{CgroupSockAddrAttachType, XdpAttachType};
use control::Sizes;

use crate::error::Error;
use crate::object::{self, TRACE_FOLDER, Variant};
use crate::pins::Pins;
use crate::stages;
use crate::sys::{Place, SocketPlace};

pub const INGRESS: &str = "xvs_ingress";
pub const EGRESS: &str = "xvs_egress";
pub const XDP: &str = "xvs_xdp";
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

/// Folder of the programs' pins.
const FOLDER: &str = "programs";
/// Folder of folders that say what configurations have needed.
const NEEDS_FOLDER: &str = "needs";
const V6: &str = "v6";
const FULLNAT: &str = "fullnat";

/// The programs that packets meet, and the one that reads the clock.
#[derive(Debug)]
pub struct Programs {
    ingress: SchedClassifier,
    egress: SchedClassifier,
    xdp: Xdp,
    clock: Xdp,
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
    /// both: those programs that [`noted`] configurations needed. Nothing to do where this object's
    /// programs are pinned already.
    ///
    /// `sizes` are those of the maps.
    pub fn load(pins: &Pins, sizes: &Sizes) -> Result<Self, Error> {
        let mark = format!("{FOLDER}/{}", object::name());
        if pins.path(&mark).exists()
            && let Ok(found) = Self::open(pins)
        {
            return Ok(found);
        }
        let part = Part::all_of(noted(pins));
        let mut ebpf = load(pins, sizes, Variant::Usual, part)?;
        // From here on the programs' pins are in doubt, until the mark is there again.
        pins.remove(FOLDER)?;
        pins.make_folder(FOLDER)?;
        for name in PROGRAMS {
            pin_program(&mut ebpf, pins.path(pin(name)), name).map_err(failed(name))?;
        }
        pin_for_sockets(&mut ebpf, pins, part);
        pins.make_folder(mark)?;
        Self::open(pins)
    }

    /// Loads the programs that trace, onto the same tables, as far as a configuration needs them.
    /// They are not attached yet.
    ///
    /// `sizes` are those of the maps.
    pub fn load_tracing(pins: &Pins, sizes: &Sizes, needs: Needs) -> Result<Self, Error> {
        pins.remove(TRACE_FOLDER)?;
        pins.make_folder(TRACE_FOLDER)?;
        let mut ebpf = load(pins, sizes, Variant::Tracing, Part::all_of(needs))?;
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
            ids,
            _stages: stages::arrays(pins)?,
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

/// Some of the programs: those that are needed beyond what is there.
#[derive(Debug, Clone, Copy)]
pub struct Part {
    there: Option<Needs>,
    needed: Needs,
}

impl Part {
    /// All programs that are needed.
    pub fn all_of(needed: Needs) -> Self {
        Self {
            there: None,
            needed,
        }
    }

    /// The programs that are needed where others are there.
    pub fn beyond(there: Needs, needed: Needs) -> Self {
        Self {
            there: Some(there),
            needed,
        }
    }

    /// Whether a program with these needs is one of them.
    pub fn has(self, needs: Needs) -> bool {
        self.needed.cover(needs) && !self.there.is_some_and(|there| there.cover(needs))
    }
}

/// Loads a part of a variant's programs and puts its stages in their places.
fn load(pins: &Pins, sizes: &Sizes, variant: Variant, part: Part) -> Result<Ebpf, Error> {
    let mut ebpf = object::open(pins, sizes, variant)?;
    load_programs(&mut ebpf, |name| {
        variant_has(variant, name) && part.has(needs(name))
    })?;
    stages::place(&ebpf, pins, variant, part)?;
    Ok(ebpf)
}

/// Adds to a variant's programs what is needed beyond those that are there.
pub fn add(pins: &Pins, sizes: &Sizes, variant: Variant, part: Part) -> Result<(), Error> {
    let mut ebpf = load(pins, sizes, variant, part)?;
    if variant == Variant::Usual {
        pin_for_sockets(&mut ebpf, pins, part);
    }
    Ok(())
}

/// What configurations have needed since the tables were made, and programs are there for.
pub fn noted(pins: &Pins) -> Needs {
    let is_noted = |need| pins.path(format!("{NEEDS_FOLDER}/{need}")).exists();
    Needs {
        v6: is_noted(V6),
        fullnat: is_noted(FULLNAT),
    }
}

/// Notes for [`noted`] what is there.
pub fn note(pins: &Pins, needs: Needs) -> Result<(), Error> {
    pins.make_folder(NEEDS_FOLDER)?;
    for (is_needed, need) in [(needs.v6, V6), (needs.fullnat, FULLNAT)] {
        if is_needed {
            pins.make_folder(format!("{NEEDS_FOLDER}/{need}"))?;
        }
    }
    Ok(())
}

/// The program that sockets meet at a place, if the kernel took it and it is needed.
pub fn for_sockets(pins: &Pins, place: SocketPlace) -> Option<CgroupSockAddr> {
    let (name, kind) = match place {
        SocketPlace::Connect4 => (CONNECT4, CgroupSockAddrAttachType::Connect4),
        SocketPlace::Connect6 => (CONNECT6, CgroupSockAddrAttachType::Connect6),
    };
    CgroupSockAddr::from_pin(pins.path(pin(name)), kind).ok()
}

/// What makes a program needed.
fn needs(program: &str) -> Needs {
    match program {
        CONNECT6 => Needs {
            v6: true,
            ..Needs::default()
        },
        _ => stages::needs(program),
    }
}

/// Whether a variant has a program.
fn variant_has(variant: Variant, program: &str) -> bool {
    match variant {
        Variant::Usual => !program.starts_with(TRACE_PREFIX),
        Variant::Tracing => program != CLOCK && !SOCKET_PROGRAMS.contains(&program),
    }
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

/// Loads programs. Verifying them is what takes time, so every processor does its part.
fn load_programs(ebpf: &mut Ebpf, is_wanted: impl Fn(&str) -> bool) -> Result<(), Error> {
    let wanted = ebpf.programs_mut().filter(|(name, _)| is_wanted(name));
    let wanted: Vec<_> = wanted.collect();
    let waiting = Mutex::new(wanted.into_iter());
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

/// Pins a part's programs for sockets, those that the kernel took.
fn pin_for_sockets(ebpf: &mut Ebpf, pins: &Pins, part: Part) {
    for name in SOCKET_PROGRAMS {
        if part.has(needs(name))
            && let Err(error) = pin_program(ebpf, pins.path(pin(name)), name)
        {
            tracing::debug!(name, %error, "a program for sockets is left out");
        }
    }
}

fn pin_program(ebpf: &mut Ebpf, path: impl AsRef<Path>, name: &str) -> Result<(), ProgramError> {
    let program = ebpf.program_mut(name).ok_or(ProgramError::NotLoaded)?;
    let pinned = program.pin(path);
    pinned.map_err(|error| ProgramError::IOError(io::Error::other(error)))
}
