//! The data plane as the daemon holds it.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use abi::{
    AddressCell, Block, DestinationCell, Globals, InterfaceCell, LoadCell, Member, NeighbourKey,
    NextHopCell, ReasonCounters, RouteValue, Runtime, ServiceCell, ServiceRuntime, StatsCell, Tick,
    View,
};
use aya::maps::lpm_trie::{Key, LpmTrie};
use aya::maps::{HashMap, Map, MapData, MapError};
use aya::programs::{TestRun, TestRunOptions};
use conntable::{Bucket, SlotV4};
use control::{PlaneError, Sizes};

use crate::attach::{self, Mode};
use crate::clock::{self, Reading};
use crate::error::Error;
use crate::object::{self, Programs};
use crate::pins;
use crate::table::Table;

/// ICMP errors a second, and at once: the kernel's `icmp_msgs_per_sec` and `icmp_msgs_burst`.
const ICMP_PER_SECOND: u32 = 1000;
const ICMP_BURST: u32 = 50;

/// Tables and programs in the kernel.
pub struct Plane {
    pins: PathBuf,
    globals: Table<Globals>,
    runtime: Table<Runtime>,
    addresses: Table<AddressCell>,
    services: Table<ServiceCell>,
    service_runtime: Table<ServiceRuntime>,
    members: Table<Member>,
    blocks: Table<Block>,
    destinations: Table<DestinationCell>,
    loads: Table<LoadCell>,
    next_hops: Table<NextHopCell>,
    interfaces: Table<InterfaceCell>,
    stats: Table<StatsCell>,
    reasons: Table<ReasonCounters>,
    connections: Table<Bucket<SlotV4>>,
    clock: Table<Reading>,
    lookups: Mutex<Lookups>,
    programs: Mutex<Programs>,
}

impl fmt::Debug for Plane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Plane")
            .field("pins", &self.pins)
            .field("sizes", &self.sizes())
            .finish()
    }
}

/// The maps that only system calls reach. Values are the words of the ABI's structures.
struct Lookups {
    routes: LpmTrie<MapData, u32, [u32; 2]>,
    neighbours: HashMap<MapData, [u32; 2], u32>,
}

/// A program to run by hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hook {
    /// The XDP program.
    Xdp,
    /// The program on TC's ingress.
    Ingress,
}

/// What a run by hand gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ran {
    /// The hook's return code.
    pub code: u32,
    /// The frame afterwards.
    pub frame: Vec<u8>,
    /// Time of one run, on average.
    pub duration: Duration,
}

/// Processors that packets may run on: the kernel's possible ones.
///
/// # Errors
/// When the kernel does not tell.
pub fn processors() -> Result<u32, Error> {
    let number = aya::util::nr_cpus().map_err(|(path, source)| Error::File {
        what: "cannot tell the number of processors",
        path: path.into(),
        source,
    })?;
    Ok(number as u32)
}

/// Ends the data plane of a state folder: detaches its programs and removes its pins. Ending one
/// that is not there is no error.
///
/// # Errors
/// When a pin cannot be removed.
pub fn remove(state: &Path) -> Result<(), Error> {
    let pins = pins::folder(state);
    attach::detach_all(&pins);
    attach::detach_filters();
    pins::remove(&pins)
}

impl Plane {
    /// Makes a data plane with tables of these sizes, which forwards nothing yet.
    ///
    /// # Errors
    /// When the kernel refuses a map, a program or a pin; nothing of it is left then.
    pub fn create(state: &Path, sizes: &Sizes) -> Result<Self, Error> {
        let pins = pins::prepare(state)?;
        Self::make(&pins, sizes).inspect_err(|_| {
            if let Err(error) = pins::remove(&pins) {
                tracing::warn!(%error, "what was made of the data plane stays");
            }
        })
    }

    fn make(pins: &Path, sizes: &Sizes) -> Result<Self, Error> {
        let programs = object::create(pins, sizes)?;
        let plane = Self::open(pins, programs)?;
        let hz = {
            let programs = guard(&plane.programs);
            clock::frequency(&programs.clock, &plane.clock).map_err(Error::Clock)?
        };
        let globals = plane.globals.one();
        globals.icmp_per_second.store(ICMP_PER_SECOND);
        globals.icmp_burst.store(ICMP_BURST);
        globals.conn_reuse_mode.store(1);
        control::initialise(&control::Plane::view(&plane), sizes, hz, seed()?);
        Ok(plane)
    }

    /// Takes up the data plane that is pinned for a state folder, if there is one.
    ///
    /// # Errors
    /// When its tables are of another version, or pins are missing.
    pub fn adopt(state: &Path) -> Result<Option<Self>, Error> {
        let pins = pins::folder(state);
        if !pins.join("maps/GLOBALS").exists() {
            return Ok(None);
        }
        let globals: Table<Globals> = Table::map(&object::map(&pins, "GLOBALS")?, "GLOBALS")?;
        let found = globals.one().abi_version.load();
        if found != abi::ABI_VERSION {
            return Err(Error::OtherVersion { found });
        }
        let programs = object::adopt(&pins)?;
        Self::open(&pins, programs).map(Some)
    }

    fn open(pins: &Path, programs: Programs) -> Result<Self, Error> {
        fn table<T: Sync>(pins: &Path, name: &'static str) -> Result<Table<T>, Error> {
            Table::map(&object::map(pins, name)?, name)
        }
        let unusable = |name| move |source: MapError| Error::Map { name, source };
        let lookups = Lookups {
            routes: LpmTrie::try_from(Map::LpmTrie(object::map(pins, "ROUTES")?))
                .map_err(unusable("ROUTES"))?,
            neighbours: HashMap::try_from(Map::HashMap(object::map(pins, "NEIGHBOURS")?))
                .map_err(unusable("NEIGHBOURS"))?,
        };
        Ok(Self {
            pins: pins.to_owned(),
            globals: table(pins, "GLOBALS")?,
            runtime: table(pins, "RUNTIME")?,
            addresses: table(pins, "ADDRESSES")?,
            services: table(pins, "SERVICES")?,
            service_runtime: table(pins, "SERVICE_RUNTIME")?,
            members: table(pins, "MEMBERS")?,
            blocks: table(pins, "BLOCKS")?,
            destinations: table(pins, "DESTINATIONS")?,
            loads: table(pins, "LOADS")?,
            next_hops: table(pins, "NEXT_HOPS")?,
            interfaces: table(pins, "INTERFACES")?,
            stats: table(pins, "STATS")?,
            reasons: table(pins, "REASONS")?,
            connections: table(pins, "CONNECTIONS")?,
            clock: table(pins, "CLOCK")?,
            lookups: Mutex::new(lookups),
            programs: Mutex::new(programs),
        })
    }

    /// The sizes of its tables.
    pub fn sizes(&self) -> Sizes {
        let destinations = self.destinations.all().len() as u32;
        Sizes {
            connections: (self.connections.all().len() * conntable::BUCKET_SLOTS) as u32,
            services: self.service_runtime.all().len() as u32,
            destinations,
            members: self.members.all().len() as u32,
            blocks: self.blocks.all().len() as u32,
            next_hops: self.next_hops.all().len() as u32,
            processors: self.reasons.all().len() as u32,
        }
    }

    /// Takes packets on an interface. What is attached already stays.
    ///
    /// # Errors
    /// When the interface or its driver refuses; with XDP, TC is attached then all the same.
    pub fn attach(&self, ifindex: u32, mode: Mode) -> Result<(), Error> {
        attach::attach(&self.pins, &mut guard(&self.programs), ifindex, mode)
    }

    /// Whether our XDP program is on an interface.
    pub fn has_xdp(&self, ifindex: u32) -> bool {
        attach::has_xdp(&self.pins, ifindex)
    }

    /// Runs a program by hand on a frame, a number of times (BPF_PROG_TEST_RUN).
    ///
    /// # Errors
    /// When the kernel refuses: frames have 14 bytes at least.
    pub fn run(&self, hook: Hook, frame: &[u8], repeat: u32) -> Result<Ran, Error> {
        // Room for an ICMP error in front, or a VLAN tag.
        let mut out = vec![0; frame.len() + 64];
        let options = TestRunOptions {
            data_in: Some(frame),
            data_out: Some(&mut out),
            repeat,
            ..TestRunOptions::default()
        };
        let programs = guard(&self.programs);
        let (name, result) = match hook {
            Hook::Xdp => ("xvs_xdp", programs.xdp.test_run(options)),
            Hook::Ingress => ("xvs_ingress", programs.ingress.test_run(options)),
        };
        let result = result.map_err(|source| Error::Program { name, source })?;
        let (code, duration) = (result.return_value, result.duration);
        out.truncate(result.data_size_out as usize);
        Ok(Ran {
            code,
            frame: out,
            duration,
        })
    }
}

/// A seed that nobody outside can guess.
fn seed() -> Result<u32, Error> {
    let mut bytes = [0; 4];
    io::Read::read_exact(
        &mut std::fs::File::open("/dev/urandom")
            .map_err(Error::file("no random numbers", "/dev/urandom"))?,
        &mut bytes,
    )
    .map_err(Error::file("no random numbers", "/dev/urandom"))?;
    Ok(u32::from_ne_bytes(bytes))
}

impl control::Plane for Plane {
    fn view(&self) -> View<'_> {
        View {
            globals: self.globals.one(),
            runtime: self.runtime.one(),
            addresses: self.addresses.all(),
            services: self.services.all(),
            service_runtime: self.service_runtime.all(),
            members: self.members.all(),
            blocks: self.blocks.all(),
            destinations: self.destinations.all(),
            loads: self.loads.all(),
            next_hops: self.next_hops.all(),
            interfaces: self.interfaces.all(),
            stats: self.stats.all(),
            reasons: self.reasons.all(),
        }
    }

    fn connections(&self) -> &[Bucket<SlotV4>] {
        self.connections.all()
    }

    fn now(&self) -> Tick {
        let (tick, _) = clock::read(&guard(&self.programs).clock, &self.clock)
            .expect("the clock's program has run before, and its reading cannot fail");
        (tick as Tick).wrapping_add(self.globals.one().clock_offset.load())
    }

    /// By the membarrier system call, which returns when every processor has passed through a
    /// state in which no BPF program runs (`synchronize_rcu`). A kernel with processors that never
    /// tick refuses; there, far more time than a program can take is let pass.
    fn wait_for_readers(&self) {
        const GLOBAL: libc::c_int = 1;
        // SAFETY: the system call takes numbers only and changes no memory of ours.
        let result = unsafe { libc::syscall(libc::SYS_membarrier, GLOBAL, 0, 0) };
        if result != 0 {
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn set_route(
        &self,
        prefix: u32,
        length: u8,
        value: Option<RouteValue>,
    ) -> Result<(), PlaneError> {
        let key = Key::new(u32::from(length), prefix);
        let routes = &mut guard(&self.lookups).routes;
        let result = match value {
            Some(value) => routes.insert(&key, [value.ifindex, value.gateway], 0),
            None => absent_is_fine(routes.remove(&key)),
        };
        result.map_err(|error| refused("routes", error))
    }

    fn known_routes(&self) -> Result<Vec<(u32, u8)>, PlaneError> {
        let lookups = guard(&self.lookups);
        let keys = lookups.routes.keys();
        keys.map(|key| key.map(|key| (key.data(), key.prefix_len() as u8)))
            .collect::<Result<_, _>>()
            .map_err(|error| refused("routes", error))
    }

    fn known_neighbours(&self) -> Result<Vec<NeighbourKey>, PlaneError> {
        let lookups = guard(&self.lookups);
        let keys = lookups.neighbours.keys();
        keys.map(|key| key.map(|[ifindex, address]| NeighbourKey { ifindex, address }))
            .collect::<Result<_, _>>()
            .map_err(|error| refused("neighbours", error))
    }

    fn set_neighbour(&self, key: NeighbourKey, hop: Option<u32>) -> Result<(), PlaneError> {
        let key = [key.ifindex, key.address];
        let neighbours = &mut guard(&self.lookups).neighbours;
        let result = match hop {
            Some(hop) => neighbours.insert(key, hop, 0),
            None => absent_is_fine(neighbours.remove(&key)),
        };
        result.map_err(|error| refused("neighbours", error))
    }
}

fn absent_is_fine(result: Result<(), MapError>) -> Result<(), MapError> {
    match result {
        Err(MapError::SyscallError(error))
            if error.io_error.raw_os_error() == Some(libc::ENOENT) =>
        {
            Ok(())
        }
        Err(MapError::KeyNotFound) => Ok(()),
        other => other,
    }
}

fn refused(table: &'static str, error: MapError) -> PlaneError {
    match error {
        MapError::SyscallError(error) if error.io_error.raw_os_error() == Some(libc::ENOSPC) => {
            PlaneError::Full {
                table,
                hint: "fewer routes and neighbours, by narrower interfaces",
            }
        }
        MapError::SyscallError(error) => PlaneError::Refused {
            table,
            source: error.io_error,
        },
        error => PlaneError::Refused {
            table,
            source: io::Error::other(error),
        },
    }
}

/// Nothing in here leaves what a lock guards half changed.
fn guard<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
