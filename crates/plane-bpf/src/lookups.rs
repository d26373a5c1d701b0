//! The maps that only system calls reach: the ways to addresses, their neighbours, and where real
//! servers take connections.

use std::fmt;
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};

use abi::{Address, NeighbourKey, RealServerKey, RouteValue};
use aya::Pod;
use aya::maps::lpm_trie::{Key, LpmTrie};
use aya::maps::{HashMap, Map, MapData, MapError};
use control::{PlaneError, TablePrefix};

use crate::error::Error;
use crate::object;
use crate::pins::Pins;

const ROUTES: &str = "routes";
const NEIGHBOURS: &str = "neighbours";
const REAL_SERVERS: &str = "real servers";

/// The maps. Keys and values are the words of the ABI's structures.
pub struct Lookups {
    routes: Mutex<LpmTrie<MapData, u32, RouteWords>>,
    routes_v6: Mutex<LpmTrie<MapData, Address, RouteWords>>,
    neighbours: Mutex<HashMap<MapData, [u32; 6], u32>>,
    real_servers: Mutex<HashMap<MapData, [u32; 5], u32>>,
}

/// The words of a [`RouteValue`].
type RouteWords = [u32; 6];

impl fmt::Debug for Lookups {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lookups").finish_non_exhaustive()
    }
}

impl Lookups {
    /// Opens them by their pins.
    pub fn open(pins: &Pins) -> Result<Self, Error> {
        let unusable = |name| move |cause| Error::Map { name, cause };
        let trie = |name| object::map(pins, name).map(Map::LpmTrie);
        let (routes, routes_v6) = (trie("ROUTES")?, trie("ROUTES_V6")?);
        let hashed = |name| object::map(pins, name).map(Map::HashMap);
        let (neighbours, real_servers) = (hashed("NEIGHBOURS")?, hashed("REAL_SERVERS")?);
        let routes = LpmTrie::try_from(routes).map_err(unusable("ROUTES"))?;
        let routes_v6 = LpmTrie::try_from(routes_v6).map_err(unusable("ROUTES_V6"))?;
        let neighbours = HashMap::try_from(neighbours).map_err(unusable("NEIGHBOURS"))?;
        let real_servers = HashMap::try_from(real_servers).map_err(unusable("REAL_SERVERS"))?;
        Ok(Self {
            routes: Mutex::new(routes),
            routes_v6: Mutex::new(routes_v6),
            neighbours: Mutex::new(neighbours),
            real_servers: Mutex::new(real_servers),
        })
    }

    /// Sets or removes the way to a prefix.
    pub fn set_route(
        &self,
        prefix: TablePrefix,
        value: Option<RouteValue>,
    ) -> Result<(), PlaneError> {
        let length = u32::from(prefix.length);
        let words = value.map(|value| {
            let [a, b, c, d] = value.gateway;
            [value.ifindex, value.gateway_family, a, b, c, d]
        });
        let result = if prefix.is_v6 {
            set(&self.routes_v6, &Key::new(length, prefix.address), words)
        } else {
            set(&self.routes, &Key::new(length, prefix.address[0]), words)
        };
        result.map_err(refused(ROUTES))
    }

    /// The prefixes that have a way.
    pub fn known_routes(&self) -> Result<Vec<TablePrefix>, PlaneError> {
        let v4 = known(&self.routes, |key| TablePrefix {
            is_v6: false,
            address: [key.data(), 0, 0, 0],
            length: key.prefix_len() as u8,
        })?;
        let v6 = known(&self.routes_v6, |key| TablePrefix {
            is_v6: true,
            address: key.data(),
            length: key.prefix_len() as u8,
        })?;
        Ok([v4, v6].concat())
    }

    /// The most specific way to an address.
    pub fn route(&self, is_v6: bool, address: Address) -> Option<RouteValue> {
        let words = if is_v6 {
            guard(&self.routes_v6).get(&Key::new(128, address), 0)
        } else {
            guard(&self.routes).get(&Key::new(32, address[0]), 0)
        };
        let [ifindex, gateway_family, a, b, c, d] = words.ok()?;
        Some(RouteValue {
            ifindex,
            gateway_family,
            gateway: [a, b, c, d],
        })
    }

    /// The index of a neighbour's next hop.
    pub fn neighbour(&self, key: &NeighbourKey) -> Option<u32> {
        let [a, b, c, d] = key.address;
        let key = [key.ifindex, key.family, a, b, c, d];
        guard(&self.neighbours).get(&key, 0).ok()
    }

    /// Whether a real server of VS/NAT is noted to take connections there.
    pub fn is_real_server(&self, key: &RealServerKey) -> bool {
        let [a, b, c, d] = key.address;
        let key = [a, b, c, d, key.service];
        guard(&self.real_servers).get(&key, 0).is_ok()
    }

    /// Sets or removes a neighbour's next hop.
    pub fn set_neighbour(&self, key: NeighbourKey, hop: Option<u32>) -> Result<(), PlaneError> {
        let [a, b, c, d] = key.address;
        let key = [key.ifindex, key.family, a, b, c, d];
        let mut neighbours = guard(&self.neighbours);
        let result = match hop {
            Some(hop) => neighbours.insert(key, hop, 0),
            None => absent_is_fine(neighbours.remove(&key)),
        };
        result.map_err(refused(NEIGHBOURS))
    }

    /// The neighbours that have a next hop.
    pub fn known_neighbours(&self) -> Result<Vec<NeighbourKey>, PlaneError> {
        let neighbours = guard(&self.neighbours);
        let keys = neighbours.keys();
        let known = keys.map(|key| {
            key.map(|[ifindex, family, a, b, c, d]| NeighbourKey {
                ifindex,
                family,
                address: [a, b, c, d],
            })
        });
        known.collect::<Result<_, _>>().map_err(refused(NEIGHBOURS))
    }

    /// Notes that a real server of VS/NAT takes connections there, or does no longer.
    pub fn set_real_server(&self, key: RealServerKey, is_there: bool) -> Result<(), PlaneError> {
        let [a, b, c, d] = key.address;
        let key = [a, b, c, d, key.service];
        let mut real_servers = guard(&self.real_servers);
        let result = if is_there {
            real_servers.insert(key, 1, 0)
        } else {
            absent_is_fine(real_servers.remove(&key))
        };
        result.map_err(refused(REAL_SERVERS))
    }

    /// Where real servers are noted to take connections.
    pub fn known_real_servers(&self) -> Result<Vec<RealServerKey>, PlaneError> {
        let real_servers = guard(&self.real_servers);
        let known = real_servers.keys().map(|key| {
            key.map(|[a, b, c, d, service]| RealServerKey {
                address: [a, b, c, d],
                service,
            })
        });
        known
            .collect::<Result<_, _>>()
            .map_err(refused(REAL_SERVERS))
    }
}

fn set<K: Pod>(
    routes: &Mutex<LpmTrie<MapData, K, RouteWords>>,
    key: &Key<K>,
    value: Option<RouteWords>,
) -> Result<(), MapError> {
    let mut routes = guard(routes);
    match value {
        Some(value) => routes.insert(key, value, 0),
        None => absent_is_fine(routes.remove(key)),
    }
}

fn known<K: Pod>(
    routes: &Mutex<LpmTrie<MapData, K, RouteWords>>,
    prefix: impl Fn(Key<K>) -> TablePrefix,
) -> Result<Vec<TablePrefix>, PlaneError> {
    let routes = guard(routes);
    let known = routes.keys().map(|key| key.map(&prefix));
    known.collect::<Result<_, _>>().map_err(refused(ROUTES))
}

fn absent_is_fine(result: Result<(), MapError>) -> Result<(), MapError> {
    match result {
        Err(MapError::KeyNotFound) => Ok(()),
        Err(MapError::SyscallError(error))
            if error.io_error.raw_os_error() == Some(libc::ENOENT) =>
        {
            Ok(())
        }
        other => other,
    }
}

fn refused(table: &'static str) -> impl FnOnce(MapError) -> PlaneError {
    move |error| match error {
        // A hash map that is full says E2BIG, a prefix map ENOSPC.
        MapError::SyscallError(error)
            if matches!(
                error.io_error.raw_os_error(),
                Some(libc::ENOSPC | libc::E2BIG)
            ) =>
        {
            PlaneError::Full {
                table,
                hint: "65536 fit: a default route serves a director better than all the world's",
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

/// A change is one system call, so a panic elsewhere leaves nothing half done.
fn guard<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
