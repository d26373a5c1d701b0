//! A director for the benchmark: one virtual service and one real server, or very many.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::{AsFd as _, AsRawFd as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use std::{fs, process};

use abi::Reason;
use aya::maps::MapData;
use control::connections::{SWEEP_EVERY, sweep_step};
use control::interfaces::{self, Interface};
use control::nexthops::{Hop, Neighbour, Network, OwnAddresses, Prefix, Way};
use control::{Director, Plane as _, Sizes};
use model::{Command, ConnectionEntry};
use plane_bpf::Plane;

use crate::error::{Error, refused};
use crate::farm::{self, SERVERS, SERVICES};
use crate::method::Method;

/// Slots of the connection table, in either address family: a million connections fill half of it.
pub const CONNECTIONS: u32 = 1 << 21;
/// Longer than any timeout of a connection, in seconds.
const LONG: f64 = 100_000.0;
const STATES: &str = "/run/xvs-bench";
/// The number of this process's next director.
static NEXT: AtomicU32 = AtomicU32::new(0);
/// Through which neighbours clients are reached; they only stand for their MAC.
const GATEWAY: IpAddr = IpAddr::V4(Ipv4Addr::new(198, 18, 0, 2));
const GATEWAY_V6: IpAddr = IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 2));

/// What the director knows of the network.
#[derive(Debug, Clone, Copy)]
pub struct Surroundings {
    /// The interface that clients' packets come in by.
    pub clients: Interface,
    /// The interface towards the real server.
    pub servers: Interface,
    /// The way to clients.
    pub to_clients: Hop,
    /// The way to the real server.
    pub to_servers: Hop,
}

impl Network for Surroundings {
    fn hop_towards(&self, _address: IpAddr) -> Hop {
        self.to_servers
    }

    fn ifindex(&self, _name: &str) -> Option<u32> {
        None
    }

    fn source_towards(&self, address: IpAddr) -> Option<IpAddr> {
        services().find(|own| own.is_ipv6() == address.is_ipv6())
    }

    fn own_addresses(&self, _ifindex: u32) -> OwnAddresses {
        OwnAddresses::default()
    }

    fn is_local(&self, address: IpAddr) -> bool {
        services().any(|own| own == address) || farm::is_virtual(address)
    }

    fn routes(&self) -> BTreeMap<Prefix, Way> {
        let via = |gateway| (self.clients.ifindex, Some(gateway));
        BTreeMap::from([
            ((Ipv4Addr::UNSPECIFIED.into(), 0), via(GATEWAY)),
            ((Ipv6Addr::UNSPECIFIED.into(), 0), via(GATEWAY_V6)),
        ])
    }

    fn neighbours(&self) -> BTreeMap<Neighbour, Hop> {
        let at = |gateway| ((self.clients.ifindex, gateway), self.to_clients);
        BTreeMap::from([at(GATEWAY), at(GATEWAY_V6)])
    }
}

/// The virtual addresses.
fn services() -> impl Iterator<Item = IpAddr> {
    Method::ALL.into_iter().map(|method| method.service().0)
}

/// A director on tables of its own; both end with it.
pub struct Bench {
    // In this order: the tables are unmapped before their pins are removed.
    director: Director<Plane>,
    surroundings: Surroundings,
    state: State,
}

impl Bench {
    /// Makes the tables and the service.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn new(surroundings: Surroundings, method: Method) -> Result<Self, Error> {
        Self::with_slots(surroundings, method, CONNECTIONS)
    }

    /// The same with another number of connections.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn with_slots(
        surroundings: Surroundings,
        method: Method,
        slots: u32,
    ) -> Result<Self, Error> {
        let sizes = sizes(slots, 8, 32)?;
        Self::configured(surroundings, &method.commands(), sizes, method.is_v6)
    }

    /// Makes the tables and all services of [`farm`].
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn of_farm(surroundings: Surroundings) -> Result<Self, Error> {
        let sizes = sizes(CONNECTIONS, SERVICES, SERVICES * SERVERS)?;
        Self::configured(surroundings, &farm::commands(), sizes, false)
    }

    fn configured(
        surroundings: Surroundings,
        commands: &[Command],
        mut sizes: Sizes,
        is_v6: bool,
    ) -> Result<Self, Error> {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let state = State(Path::new(STATES).join(format!("{}-{number}", process::id())));
        // Only one family has connections here.
        let none = Sizes::MIN_CONNECTIONS;
        (sizes.connections, sizes.connections_v6) = match is_v6 {
            true => (none, sizes.connections),
            false => (sizes.connections, none),
        };
        let plane = Plane::create(&state.0, &sizes).map_err(refused("the data plane"))?;
        let left_out =
            interfaces::publish(&plane.view(), &[surroundings.clients, surroundings.servers]);
        assert_eq!(left_out, 0, "an empty table has room for two interfaces");
        let mut director = Director::new(plane, sizes);
        for outcome in director.apply(commands, &surroundings) {
            outcome.map_err(refused("a virtual service"))?;
        }
        director.follow(&surroundings).map_err(refused("routes"))?;
        Ok(Self {
            director,
            surroundings,
            state,
        })
    }

    /// The data plane.
    pub fn plane(&self) -> &Plane {
        self.director.plane()
    }

    /// The folder of its pins.
    pub fn pins(&self) -> PathBuf {
        let folder = Path::new(STATES)
            .join("bpf")
            .join(self.state.0.file_name().unwrap_or_default());
        if folder.exists() {
            return folder;
        }
        // The file system is mounted where process 1 sees it.
        Path::new("/proc/1/root").join(folder.strip_prefix("/").unwrap_or(&folder))
    }

    /// Packets that were counted so far.
    pub fn counted(&self) -> Counted {
        let view = self.plane().view();
        let count = |reason: &Reason| {
            let counters = view.reasons.iter();
            counters
                .map(|counters| counters.0[*reason as usize].load())
                .sum()
        };
        Counted(Reason::ALL.iter().map(count).collect())
    }

    /// Ends every connection: lets time pass, and sweeps the whole table.
    pub fn forget_connections(&mut self) {
        self.advance(LONG);
        self.sweep();
    }

    /// Lets so many seconds pass at once; before 0, puts the clock back.
    pub fn advance(&self, seconds: f64) {
        let globals = self.director.plane().view().globals;
        let ticks = (seconds * f64::from(globals.ticks_per_second.load())) as i32;
        let offset = globals.clock_offset.load().wrapping_add_signed(ticks);
        globals.clock_offset.store(offset);
    }

    /// Frees all that has ended, in both tables.
    pub fn sweep(&mut self) {
        let buckets = control::connections::buckets(self.plane());
        self.director.sweep(buckets, &self.surroundings);
    }

    /// Sweeps as much as the daemon does in a second.
    pub fn sweep_a_second(&mut self) {
        let step = sweep_step(self.plane());
        for _ in 0..Duration::from_secs(1).as_millis() / SWEEP_EVERY.as_millis() {
            self.director.sweep(step, &self.surroundings);
        }
    }

    /// Lets every service begin its sequence of destinations anew.
    pub fn begin_turns(&self) {
        let view = self.plane().view();
        let services = view.services_of(view.globals.side.load());
        for service in services.iter().filter(|service| service.key.load() != 0) {
            let runtime = &view.service_runtime[service.number.load() as usize];
            runtime.cursor.store(service.cursor_base.load());
        }
    }

    /// How many packets of clients each destination has got, by its number.
    pub fn packets_by_destination(&self) -> Vec<u64> {
        let view = self.plane().view();
        let destinations = view.globals.destinations.load() as usize;
        let mut packets = vec![0; destinations];
        for of_processor in view.stats.chunks(destinations) {
            for (sum, stats) in packets.iter_mut().zip(of_processor) {
                *sum += stats.in_packets.load();
            }
        }
        packets
    }

    /// Buckets of IPv4's table.
    pub fn buckets(&self) -> u32 {
        self.plane().connections().len() as u32
    }

    /// The living connections of some of the buckets.
    pub fn connections(&self, first: u32, buckets: u32) -> Vec<ConnectionEntry> {
        control::connections::list(self.plane(), first, buckets).unwrap_or_default()
    }

    /// Bytes of the kernel's memory that all of the director's tables take.
    ///
    /// # Errors
    /// When the kernel does not tell.
    pub fn table_bytes(&self) -> Result<u64, Error> {
        let what = "the tables' memory";
        let folder = self.pins().join("maps");
        let mut sum = 0;
        for entry in fs::read_dir(folder).map_err(refused(what))? {
            let path = entry.map_err(refused(what))?.path();
            let map = MapData::from_pin(path).map_err(refused(what))?;
            let descriptor = map.fd().as_fd().as_raw_fd();
            let text = fs::read_to_string(format!("/proc/self/fdinfo/{descriptor}"));
            let text = text.map_err(refused(what))?;
            let bytes = text.lines().find_map(|line| line.strip_prefix("memlock:"));
            sum += bytes
                .and_then(|bytes| bytes.trim().parse::<u64>().ok())
                .unwrap_or(0);
        }
        Ok(sum)
    }
}

/// Tables of a size, for all processors.
fn sizes(slots: u32, services: u32, destinations: u32) -> Result<Sizes, Error> {
    let processors = plane_bpf::processors().map_err(refused("processors"))?;
    Sizes::chosen(slots, services, destinations, processors).map_err(refused("sizes"))
}

/// How many packets were counted with each reason.
pub struct Counted(Vec<u64>);

impl Counted {
    /// How many with one reason since then.
    pub fn since(&self, before: &Self, reason: Reason) -> u64 {
        self.all_since(before)
            .find(|(found, _)| *found == reason)
            .map_or(0, |(_, count)| count)
    }

    /// What was counted since then, in words: `, 5 no_route`.
    pub fn words_since(&self, before: &Self) -> String {
        let met = self.all_since(before).filter(|(_, count)| *count > 0);
        met.map(|(reason, count)| format!(", {count} {}", reason.name()))
            .collect()
    }

    fn all_since<'a>(&'a self, before: &'a Self) -> impl Iterator<Item = (Reason, u64)> + 'a {
        let counts = self.0.iter().zip(&before.0);
        let reasons = Reason::ALL.iter().copied();
        reasons.zip(counts.map(|(after, before)| after - before))
    }
}

/// The state folder, whose data plane ends with it.
struct State(PathBuf);

impl Drop for State {
    fn drop(&mut self) {
        if let Err(error) = plane_bpf::remove(&self.0) {
            eprintln!("bench: the data plane stays: {error}");
        }
        // Another benchmark may have its pins there: then this fails, and so it should.
        let mount = Path::new(STATES).join("bpf");
        let is_empty = fs::read_dir(&mount).is_ok_and(|entries| {
            // The file system has files of its own.
            entries.flatten().all(|entry| !entry.path().is_dir())
        });
        if is_empty && nix::mount::umount(&mount).is_ok() {
            let _ = fs::remove_dir(&mount).and_then(|()| fs::remove_dir(STATES));
        }
    }
}
