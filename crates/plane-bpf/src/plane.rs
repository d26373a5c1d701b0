//! The data plane as the daemon holds it.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use abi::{
    Address, FragmentKey, FragmentKeyV6, FragmentValue, LocalityKey, Needs, NeighbourKey,
    RealServerKey, RouteValue, Tick, View,
};
use conntable::{Bucket, SlotV4, SlotV6};
use control::{PlaneError, Sizes, TablePrefix};
use sched::lblcr;

use crate::attach::{self, Attachment, Mode, TcMeans};
use crate::clock::Clock;
use crate::error::Error;
use crate::lookups::Lookups;
use crate::memories::Memories;
use crate::object::{self, TRACE_FOLDER, Variant};
use crate::pins::Pins;
use crate::probe;
use crate::programs::{self, Part, Programs};
use crate::readers::Readers;
use crate::run::{self, Hook, Ran};
use crate::sockets;
use crate::tables::{self, Tables};
use crate::trace::Tracing;

/// ICMP errors a second, and at once: the kernel's `icmp_msgs_per_sec` and `icmp_msgs_burst`.
const ICMP_PER_SECOND: u32 = 1000;
const ICMP_BURST: u32 = 50;
/// IPVS's `conn_reuse_mode` as it is at first.
const CONN_REUSE_MODE: u32 = 1;

/// Tables and programs in the kernel.
///
/// They go on when this is dropped: see [`remove`].
#[derive(Debug)]
pub struct Plane {
    pins: Pins,
    tables: Tables,
    lookups: Lookups,
    memories: Memories,
    programs: Programs,
    clock: Clock,
    readers: Readers,
    met: Mutex<Met>,
}

/// What packets meet.
#[derive(Debug)]
struct Met {
    /// What its programs are there for.
    needs: Needs,
    /// What is there instead of the usual programs while somebody traces.
    tracing: Option<Arc<Tracing>>,
}

/// Processors that packets may run on: the kernel's possible ones.
///
/// # Errors
/// When the kernel does not tell.
pub fn processors() -> Result<u32, Error> {
    let number = aya::util::nr_cpus().map_err(|(path, cause)| Error::File {
        what: "cannot tell the number of processors",
        path: path.into(),
        cause,
    })?;
    Ok(number as u32)
}

/// Ends the data plane of a state folder: detaches its programs and removes its pins, and the BPF
/// file system with the last of them. Ending one that is not there is no error.
///
/// Filters (on kernels before 6.6) are detached in the network namespace that this is called in.
///
/// # Errors
/// When a pin cannot be removed.
pub fn remove(state: &Path) -> Result<(), Error> {
    let Some(pins) = Pins::find(state) else {
        return Ok(());
    };
    attach::detach_all(&pins)?;
    pins.remove_all()
}

impl Plane {
    /// Makes a data plane with tables of these sizes, which forwards nothing yet.
    ///
    /// # Errors
    /// When there is one already, or the kernel refuses a map, a program or a pin; nothing of it
    /// is left then.
    pub fn create(state: &Path, sizes: &Sizes) -> Result<Self, Error> {
        probe::probe()?;
        let pins = Pins::make(state)?;
        match Self::make(&pins, sizes) {
            Ok(parts) => Ok(parts.with(pins)),
            Err(error) => {
                if let Err(error) = pins.remove_all() {
                    tracing::warn!(%error, "what was made of the data plane stays");
                }
                Err(error)
            }
        }
    }

    fn make(pins: &Pins, sizes: &Sizes) -> Result<Parts, Error> {
        let programs = Programs::load(pins, sizes)?;
        let parts = Parts::open(pins, programs)?;
        let view = parts.tables.view();
        view.globals.icmp_per_second.store(ICMP_PER_SECOND);
        view.globals.icmp_burst.store(ICMP_BURST);
        view.globals.conn_reuse_mode.store(CONN_REUSE_MODE);
        control::initialise(&view, sizes, parts.clock.hz(), seed()?);
        Ok(parts)
    }

    /// Takes up the data plane that is pinned for a state folder, if there is one. Its connections
    /// and counters are as they were. Where its programs come from another object than this
    /// daemon's, this daemon's take their places, between two packets.
    ///
    /// # Errors
    /// When this process may not use BPF, its tables are of another version
    /// ([`Error::OtherVersion`]), pins are missing, or the kernel refuses the programs. Nothing has
    /// changed then.
    pub fn adopt(state: &Path) -> Result<Option<Self>, Error> {
        let Some(pins) = Pins::find(state) else {
            return Ok(None);
        };
        probe::probe()?;
        let found = match object::has_maps(&pins) {
            true => tables::version(&pins)?,
            false => 0,
        };
        let expected = abi::ABI_VERSION;
        if found == 0 {
            // The version is written last: whoever made these did not come to the end, and no
            // packet has met them.
            pins.remove_all()?;
            return Ok(None);
        }
        if found != expected {
            return Err(Error::OtherVersion { found, expected });
        }
        let sizes = Tables::open(&pins)?.sizes();
        let programs = Programs::load(&pins, &sizes)?;
        attach::renew(&pins, &programs)?;
        let parts = Parts::open(&pins, programs)?;
        if !pins.names(TRACE_FOLDER).is_empty() {
            // Nobody is left who traces.
            parts.readers.wait();
            pins.remove(TRACE_FOLDER)?;
        }
        Ok(Some(parts.with(pins)))
    }

    /// The sizes of its tables.
    pub fn sizes(&self) -> Sizes {
        self.tables.sizes()
    }

    /// Ticks in a second.
    pub fn hz(&self) -> u32 {
        self.tables.view().globals.ticks_per_second.load()
    }

    /// Takes packets on an interface. What is attached there already stays; a hook that the mode
    /// does not have is left.
    ///
    /// # Errors
    /// When the interface or its driver refuses ([`Error::Attach`] says why); with XDP, TC is
    /// attached then all the same.
    pub fn attach(&self, ifindex: u32, mode: Mode) -> Result<(), Error> {
        self.attach_by(ifindex, mode, TcMeans::LinkIfPossible)
    }

    /// As [`Self::attach`], with a choice of how a program gets to TC.
    ///
    /// # Errors
    /// As for [`Self::attach`].
    pub fn attach_by(&self, ifindex: u32, mode: Mode, means: TcMeans) -> Result<(), Error> {
        let met = self.met();
        attach::attach(&self.pins, self.programs(&met), ifindex, mode, means)
    }

    /// Lets packets meet the programs that trace. No packet passes between a program and the one in
    /// its place.
    ///
    /// # Errors
    /// When the kernel refuses; then packets may meet either.
    pub fn start_tracing(&self, tracing: Arc<Tracing>) -> Result<(), Error> {
        let mut met = self.met();
        if !tracing.needs().cover(met.needs) {
            let part = Part::beyond(tracing.needs(), met.needs);
            programs::add(&self.pins, &self.sizes(), Variant::Tracing, part)?;
        }
        attach::renew_interfaces(&self.pins, tracing.programs())?;
        met.tracing = Some(tracing);
        Ok(())
    }

    /// Lets packets meet the usual programs again.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn stop_tracing(&self) -> Result<(), Error> {
        let mut met = self.met();
        attach::renew_interfaces(&self.pins, &self.programs)?;
        met.tracing = None;
        // Packets may still be on their way through the others.
        self.readers.wait();
        self.pins.remove(TRACE_FOLDER)
    }

    /// The programs that packets meet.
    fn programs<'a>(&'a self, met: &'a Met) -> &'a Programs {
        let tracing = met.tracing.as_ref();
        tracing.map_or(&self.programs, |tracing| tracing.programs())
    }

    fn met(&self) -> MutexGuard<'_, Met> {
        self.met.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Loads what is not there yet of what is needed.
    fn load(&self, needs: Needs) -> Result<(), Error> {
        let mut met = self.met();
        if met.needs.cover(needs) {
            return Ok(());
        }
        let needs = met.needs.and(needs);
        let begun = Instant::now();
        let (sizes, part) = (self.sizes(), Part::beyond(met.needs, needs));
        programs::add(&self.pins, &sizes, Variant::Usual, part)?;
        if met.tracing.is_some() {
            programs::add(&self.pins, &sizes, Variant::Tracing, part)?;
        }
        programs::note(&self.pins, needs)?;
        met.needs = needs;
        tracing::info!(?needs, took = ?begun.elapsed(), "programs were added");
        if let Err(error) = sockets::renew(&self.pins) {
            tracing::warn!(%error, "clients on this machine are not served by IPv6");
        }
        Ok(())
    }

    /// Lets clients on the director itself reach its virtual services: programs that this network
    /// namespace's sockets meet when they connect.
    ///
    /// # Errors
    /// When the kernel refuses: it has no control groups of version 2.
    pub fn attach_clients(&self) -> Result<(), Error> {
        let cookie = crate::netns_cookie()?;
        let namespace = &self.tables.view().globals.namespace;
        namespace[0].store(cookie as u32);
        namespace[1].store((cookie >> 32) as u32);
        sockets::attach(&self.pins)
    }

    /// Leaves an interface. One that is gone is left already.
    ///
    /// # Errors
    /// When a pin cannot be removed.
    pub fn detach(&self, ifindex: u32) -> Result<(), Error> {
        attach::detach(&self.pins, ifindex)
    }

    /// Where our programs are attached now, by interface.
    pub fn attached(&self) -> Vec<Attachment> {
        attach::attached(&self.pins)
    }

    /// Whether our XDP program is on an interface.
    pub fn has_xdp(&self, ifindex: u32) -> bool {
        attach::has_xdp(&self.pins, ifindex)
    }

    /// Runs a program by hand on a frame, a number of times in a row (BPF_PROG_TEST_RUN); from
    /// the second time on, on what it made of the frame. The frame comes in by the loopback
    /// interface.
    ///
    /// # Errors
    /// When the kernel refuses: frames have 14 bytes at least.
    pub fn run(&self, hook: Hook, frame: &[u8], repeat: u32) -> Result<Ran, Error> {
        run::run(self.programs(&self.met()), hook, None, frame, repeat)
    }

    /// As [`Self::run`], on a frame that comes in by an interface.
    ///
    /// # Errors
    /// As for [`Self::run`]; and for XDP, when the interface has no receive queue for it.
    pub fn run_on(
        &self,
        hook: Hook,
        ifindex: u32,
        frame: &[u8],
        repeat: u32,
    ) -> Result<Ran, Error> {
        run::run(
            self.programs(&self.met()),
            hook,
            Some(ifindex),
            frame,
            repeat,
        )
    }

    /// Runs the program of TC's egress by hand on a frame that this machine sends.
    ///
    /// # Errors
    /// As for [`Self::run`].
    pub fn run_egress(&self, frame: &[u8]) -> Result<Ran, Error> {
        run::run_egress(self.programs(&self.met()), frame)
    }
}

impl control::Plane for Plane {
    fn view(&self) -> View<'_> {
        self.tables.view()
    }

    fn connections(&self) -> &[Bucket<SlotV4>] {
        self.tables.connections()
    }

    fn connections_v6(&self) -> &[Bucket<SlotV6>] {
        self.tables.connections_v6()
    }

    fn prepare(&self, needs: Needs) -> Result<(), PlaneError> {
        self.load(needs)
            .map_err(|error| PlaneError::NotPrepared(error.into()))
    }

    fn now(&self) -> Tick {
        let offset = self.tables.view().globals.clock_offset.load();
        (self.clock.now(&self.programs) as Tick).wrapping_add(offset)
    }

    fn wait_for_readers(&self) {
        self.readers.wait();
    }

    fn set_route(&self, prefix: TablePrefix, value: Option<RouteValue>) -> Result<(), PlaneError> {
        self.lookups.set_route(prefix, value)
    }

    fn set_neighbour(&self, key: NeighbourKey, hop: Option<u32>) -> Result<(), PlaneError> {
        self.lookups.set_neighbour(key, hop)
    }

    fn set_real_server(&self, key: RealServerKey, is_there: bool) -> Result<(), PlaneError> {
        self.lookups.set_real_server(key, is_there)
    }

    fn known_real_servers(&self) -> Result<Vec<RealServerKey>, PlaneError> {
        self.lookups.known_real_servers()
    }

    fn known_routes(&self) -> Result<Vec<TablePrefix>, PlaneError> {
        self.lookups.known_routes()
    }

    fn known_neighbours(&self) -> Result<Vec<NeighbourKey>, PlaneError> {
        self.lookups.known_neighbours()
    }
}

impl control::Peek for Plane {
    fn tick(&self) -> Tick {
        self.clock.exact(&self.programs) as Tick
    }

    fn route(&self, is_v6: bool, address: Address) -> Option<RouteValue> {
        self.lookups.route(is_v6, address)
    }

    fn neighbour(&self, key: &NeighbourKey) -> Option<u32> {
        self.lookups.neighbour(key)
    }

    fn is_real_server(&self, key: &RealServerKey) -> bool {
        self.lookups.is_real_server(key)
    }

    fn fragment(&self, key: &FragmentKey) -> Option<FragmentValue> {
        self.memories.fragment(key)
    }

    fn fragment_v6(&self, key: &FragmentKeyV6) -> Option<FragmentValue> {
        self.memories.fragment_v6(key)
    }

    fn locality(&self, key: &LocalityKey) -> Option<u32> {
        self.memories.locality(key)
    }

    fn locality_set(&self, key: &LocalityKey) -> Option<lblcr::Set> {
        self.memories.locality_set(key)
    }
}

/// A data plane without its pins.
struct Parts {
    tables: Tables,
    lookups: Lookups,
    memories: Memories,
    programs: Programs,
    clock: Clock,
    readers: Readers,
}

impl Parts {
    /// Opens what is pinned.
    fn open(pins: &Pins, programs: Programs) -> Result<Self, Error> {
        Ok(Self {
            tables: Tables::open(pins)?,
            lookups: Lookups::open(pins)?,
            memories: Memories::open(pins)?,
            clock: Clock::open(pins, &programs)?,
            readers: Readers::new()?,
            programs,
        })
    }

    fn with(self, pins: Pins) -> Plane {
        Plane {
            met: Mutex::new(Met {
                needs: programs::noted(&pins),
                tracing: None,
            }),
            pins,
            tables: self.tables,
            lookups: self.lookups,
            memories: self.memories,
            programs: self.programs,
            clock: self.clock,
            readers: self.readers,
        }
    }
}

/// A seed that nobody outside can guess.
fn seed() -> Result<u32, Error> {
    const SOURCE: &str = "/dev/urandom";
    let mut bytes = [0; 4];
    let mut source = File::open(SOURCE).map_err(Error::file("no random numbers", SOURCE))?;
    source
        .read_exact(&mut bytes)
        .map_err(Error::file("no random numbers", SOURCE))?;
    Ok(u32::from_ne_bytes(bytes))
}
