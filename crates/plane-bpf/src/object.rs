//! The BPF object: its maps, made new or found pinned.

use std::hash::{DefaultHasher, Hasher};
use std::io;
use std::os::fd::AsFd;
use std::path::Path;

use abi::{Carry, Globals, InterfaceCell, ReasonCounters, Runtime};
use aya::maps::{Map, MapData};
use aya::{Ebpf, EbpfLoader};
use control::Sizes;

use crate::error::Error;
use crate::pins::Pins;
use crate::sys;

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

/// Tables that programs address directly: the sections that stand for them, their names, and how many
/// bytes they have for so many processors.
const fn direct(processors: usize) -> [(&'static str, &'static str, usize); 5] {
    [
        (".bss.globals", "GLOBALS", size_of::<Globals>()),
        (".bss.runtime", "RUNTIME", size_of::<Runtime>()),
        (
            ".bss.interfaces",
            "INTERFACES",
            size_of::<InterfaceCell>() * abi::INTERFACES as usize,
        ),
        (
            ".bss.reasons",
            "REASONS",
            size_of::<ReasonCounters>() * processors,
        ),
        (".bss.carries", "CARRIES", size_of::<Carry>() * processors),
    ]
}

/// Every other map of the object, but for those that only tracing needs.
const MAPS: [&str; 27] = [
    "ADDRESSES",
    "ADDRESSES_V6",
    "ADDRESS_FILTER",
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
    "STATS",
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

/// Folder of what there is while somebody traces.
pub const TRACE_FOLDER: &str = "trace";

/// A variant of the programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Variant {
    /// Traces nothing.
    Usual,
    /// Traces.
    Tracing,
}

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
    pub fn map_pin(self, name: &str) -> String {
        match self {
            Self::Tracing if TRACE_MAPS.contains(&name) => format!("{TRACE_FOLDER}/{name}"),
            _ => format!("maps/{name}"),
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

/// A name for this object. Should the hash function change, the same object gets another, and is
/// loaded once more, which does no harm.
pub fn name() -> String {
    let mut hasher = DefaultHasher::new();
    hasher.write(object());
    format!("object-{:016x}", hasher.finish())
}

/// Makes or opens the maps, and pins them.
pub fn open(pins: &Pins, sizes: &Sizes, variant: Variant) -> Result<Ebpf, Error> {
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
        ("ADDRESS_FILTER", 2 * sizes.filter_words()),
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
        ("CONNECTIONS", sizes.buckets()),
        ("CONNECTIONS_V6", sizes.buckets_v6()),
    ];
    for (name, number) in entries {
        loader.map_max_entries(name, number);
    }
    for name in MAPS {
        loader.map_pin_path(name, pins.path(variant.map_pin(name)));
    }
    let processors = sizes.processors.next_power_of_two();
    let mask = processors - 1;
    loader.override_global("PROCESSOR_MASK", &mask, true);
    let ebpf = loader.load(object()).map_err(|error| {
        let is_memory = |cause: &io::Error| cause.raw_os_error() == Some(libc::ENOMEM);
        if cause(&error).is_some_and(is_memory) {
            Error::NoMemory
        } else {
            Error::Load(error)
        }
    })?;
    for (section, name, bytes) in direct(processors as usize) {
        put_direct(&ebpf, section, &pins.path(variant.map_pin(name)), bytes)
            .map_err(pins.failed("a table cannot be made", name))?;
    }
    Ok(ebpf)
}

/// Makes or opens the map of a table that programs address directly, and puts it where the programs,
/// which are still to be loaded, have the section that stands for it. That one's own map would be
/// as large as the section, and the loader would write the section's zeros over it every time.
fn put_direct(ebpf: &Ebpf, section: &str, pin: &Path, bytes: usize) -> io::Result<()> {
    let table = match sys::open_pin(pin) {
        Ok(found) => found,
        Err(_) => {
            let made = sys::create_table(bytes as u32)?;
            sys::pin(made.as_fd(), pin)?;
            made
        }
    };
    match ebpf.map(section) {
        Some(Map::Array(stands_for)) => sys::replace(stands_for.fd().as_fd(), table.as_fd()),
        // No program has it.
        _ => Ok(()),
    }
}

/// The kernel's part in an error.
fn cause<'e>(error: &'e (dyn std::error::Error + 'static)) -> Option<&'e io::Error> {
    let mut causes = std::iter::successors(Some(error), |error| error.source());
    causes.find_map(|error| error.downcast_ref())
}
