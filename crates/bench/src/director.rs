//! A director for the benchmark: one virtual service, one real server, VS/NAT.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::{fs, process};

use abi::Reason;
use control::interfaces::{self, Interface};
use control::nexthops::{Hop, Neighbour, Network, OwnAddresses, Prefix, Way};
use control::{Director, Plane as _, Sizes};
use model::{
    Command, Destination, DestinationKey, Forwarding, Protocol, ServiceKey, ServiceRequest,
};
use plane_bpf::Plane;

use crate::error::{Error, refused};

/// The virtual service.
pub const VIRTUAL: (Ipv4Addr, u16) = (Ipv4Addr::new(198, 18, 0, 1), 80);
/// Its real server.
pub const REAL: (Ipv4Addr, u16) = (Ipv4Addr::new(198, 18, 1, 2), 8080);
/// Slots of the connection table: a million connections fill half of it.
const CONNECTIONS: u32 = 1 << 21;
/// Longer than any timeout of a connection, in seconds.
const LONG: u32 = 100_000;
const STATES: &str = "/run/xvs-bench";

/// What the director knows of the network.
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

/// Through which neighbour clients are reached; it only stands for its MAC.
const GATEWAY: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 2);

impl Network for Surroundings {
    fn hop_towards(&self, _address: IpAddr) -> Hop {
        self.to_servers
    }

    fn ifindex(&self, _name: &str) -> Option<u32> {
        None
    }

    fn source_towards(&self, _address: IpAddr) -> Option<IpAddr> {
        Some(VIRTUAL.0.into())
    }

    fn own_addresses(&self, _ifindex: u32) -> OwnAddresses {
        OwnAddresses::default()
    }

    fn is_local(&self, address: IpAddr) -> bool {
        address == VIRTUAL.0
    }

    fn routes(&self) -> BTreeMap<Prefix, Way> {
        let everybody = (Ipv4Addr::UNSPECIFIED.into(), 0);
        BTreeMap::from([(everybody, (self.clients.ifindex, Some(GATEWAY.into())))])
    }

    fn neighbours(&self) -> BTreeMap<Neighbour, Hop> {
        BTreeMap::from([((self.clients.ifindex, GATEWAY.into()), self.to_clients)])
    }
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
    pub fn new(surroundings: Surroundings) -> Result<Self, Error> {
        let state = State(Path::new(STATES).join(process::id().to_string()));
        let processors = plane_bpf::processors().map_err(refused("processors"))?;
        let sizes = Sizes::chosen(CONNECTIONS, 8, 32, processors).map_err(refused("sizes"))?;
        let plane = Plane::create(&state.0, &sizes).map_err(refused("the data plane"))?;
        let left_out =
            interfaces::publish(&plane.view(), &[surroundings.clients, surroundings.servers]);
        assert_eq!(left_out, 0, "an empty table has room for two interfaces");
        let mut director = Director::new(plane, sizes);
        for outcome in director.apply(&commands(), &surroundings) {
            outcome.map_err(refused("the virtual service"))?;
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

    /// Packets that were counted with a reason so far.
    pub fn counted(&self, reason: Reason) -> u64 {
        let view = self.plane().view();
        view.reasons
            .iter()
            .map(|counters| counters.0[reason as usize].load())
            .sum()
    }

    /// Ends every connection: lets time pass, and sweeps the whole table.
    pub fn forget_connections(&mut self) {
        let globals = self.director.plane().view().globals;
        let pause = LONG.wrapping_mul(globals.ticks_per_second.load());
        globals
            .clock_offset
            .store(globals.clock_offset.load().wrapping_add(pause));
        let buckets = self.director.plane().connections().len() as u32;
        self.director.sweep(buckets, &self.surroundings);
    }
}

fn commands() -> [Command; 2] {
    let service = ServiceKey::Address {
        protocol: Protocol::Tcp,
        address: IpAddr::V4(VIRTUAL.0),
        port: VIRTUAL.1,
    };
    let key = DestinationKey {
        address: IpAddr::V4(REAL.0),
        port: REAL.1,
    };
    let destination = Destination::new(key, Forwarding::Masq);
    [
        Command::AddService(ServiceRequest::new(service, "wrr")),
        Command::AddDestination {
            service,
            destination,
        },
    ]
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
