//! The BPF object: its maps and programs, made new or found pinned.

use std::path::Path;

use aya::maps::{Map, MapData};
use aya::programs::{Program, ProgramError, SchedClassifier, Xdp};
use aya::{Ebpf, EbpfLoader};
use aya_obj::programs::XdpAttachType;
use control::Sizes;

use crate::error::Error;

/// The programs that packets meet, and the one that reads the clock.
pub struct Programs {
    /// The complete path, on TC's ingress.
    pub ingress: SchedClassifier,
    /// The common packet, on XDP.
    pub xdp: Xdp,
    /// Reads the kernel's tick.
    pub clock: Xdp,
}

const INGRESS: &str = "xvs_ingress";
const XDP: &str = "xvs_xdp";
const CLOCK: &str = "xvs_clock";

/// The maps that are mapped into memory.
pub const TABLES: [&str; 15] = [
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
];

/// The maps that only system calls reach.
pub const LOOKUPS: [&str; 3] = ["ROUTES", "NEIGHBOURS", "FRAGMENTS"];

/// Makes the maps, pins them, and loads and pins the programs.
pub fn create(pins: &Path, sizes: &Sizes) -> Result<Programs, Error> {
    let mut ebpf = load(sizes)?;
    for name in TABLES.into_iter().chain(LOOKUPS) {
        let map = ebpf.map(name).ok_or_else(|| missing(name))?;
        let path = pins.join("maps").join(name);
        pin_map(map, &path)?;
    }
    for name in [INGRESS, XDP, CLOCK] {
        let program = ebpf.program_mut(name).ok_or_else(|| missing(name))?;
        load_program(program).map_err(|source| Error::Program { name, source })?;
        let path = pins.join("programs").join(name);
        program.pin(path).map_err(|source| Error::Pin {
            what: format!("program {name}"),
            source,
        })?;
    }
    adopt(pins)
}

fn load_program(program: &mut Program) -> Result<(), ProgramError> {
    match program {
        Program::Xdp(program) => program.load(),
        Program::SchedClassifier(program) => program.load(),
        _ => Err(ProgramError::UnexpectedProgramType),
    }
}

/// The programs that are pinned.
pub fn adopt(pins: &Path) -> Result<Programs, Error> {
    let pinned = |name: &str| pins.join("programs").join(name);
    let failed = |name| move |source| Error::Program { name, source };
    let xdp = |name| Xdp::from_pin(pinned(name), XdpAttachType::Interface).map_err(failed(name));
    Ok(Programs {
        ingress: SchedClassifier::from_pin(pinned(INGRESS)).map_err(failed(INGRESS))?,
        xdp: xdp(XDP)?,
        clock: xdp(CLOCK)?,
    })
}

/// A pinned map.
pub fn map(pins: &Path, name: &'static str) -> Result<MapData, Error> {
    MapData::from_pin(pins.join("maps").join(name)).map_err(|source| Error::Map { name, source })
}

fn load(sizes: &Sizes) -> Result<Ebpf, Error> {
    let bytes = aya::include_bytes_aligned!(env!("XVS_BPF_OBJECT"));
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
    loader
        .load(bytes)
        .map_err(|error| match not_allowed(&error) {
            Some(refusal) => Error::NotAllowed(refusal),
            None => Error::Load(error),
        })
}

/// The kernel's refusal, where it is one of permission.
fn not_allowed(error: &(dyn std::error::Error + 'static)) -> Option<std::io::Error> {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref::<std::io::Error>()
            && error.kind() == std::io::ErrorKind::PermissionDenied
        {
            return error.raw_os_error().map(std::io::Error::from_raw_os_error);
        }
        cause = error.source();
    }
    None
}

fn missing(name: &'static str) -> Error {
    let source = aya::maps::MapError::PinError {
        name: Some(name.to_owned()),
        error: aya::pin::PinError::NoFd {
            name: name.to_owned(),
        },
    };
    Error::Map { name, source }
}

fn pin_map(map: &Map, path: &Path) -> Result<(), Error> {
    map.pin(path).map_err(|source| Error::Pin {
        what: path.display().to_string(),
        source,
    })
}
