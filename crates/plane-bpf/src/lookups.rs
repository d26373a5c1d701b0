//! The maps that only system calls reach: the ways to addresses, and their neighbours.

use std::fmt;
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};

use abi::{NeighbourKey, RouteValue};
use aya::maps::lpm_trie::{Key, LpmTrie};
use aya::maps::{HashMap, Map, MapData, MapError};
use control::PlaneError;

use crate::error::Error;
use crate::object;
use crate::pins::Pins;

const ROUTES: &str = "routes";
const NEIGHBOURS: &str = "neighbours";

/// The two maps. Keys and values are the words of the ABI's structures.
pub struct Lookups {
    routes: Mutex<LpmTrie<MapData, u32, [u32; 2]>>,
    neighbours: Mutex<HashMap<MapData, [u32; 2], u32>>,
}

impl fmt::Debug for Lookups {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lookups").finish_non_exhaustive()
    }
}

impl Lookups {
    /// Opens them by their pins.
    pub fn open(pins: &Pins) -> Result<Self, Error> {
        let unusable = |name| move |cause| Error::Map { name, cause };
        let routes = Map::LpmTrie(object::map(pins, "ROUTES")?);
        let neighbours = Map::HashMap(object::map(pins, "NEIGHBOURS")?);
        let routes = LpmTrie::try_from(routes).map_err(unusable("ROUTES"))?;
        let neighbours = HashMap::try_from(neighbours).map_err(unusable("NEIGHBOURS"))?;
        Ok(Self {
            routes: Mutex::new(routes),
            neighbours: Mutex::new(neighbours),
        })
    }

    /// Sets or removes the way to a prefix (network order).
    pub fn set_route(
        &self,
        prefix: u32,
        length: u8,
        value: Option<RouteValue>,
    ) -> Result<(), PlaneError> {
        let key = Key::new(u32::from(length), prefix);
        let mut routes = guard(&self.routes);
        let result = match value {
            Some(value) => routes.insert(&key, [value.ifindex, value.gateway], 0),
            None => absent_is_fine(routes.remove(&key)),
        };
        result.map_err(refused(ROUTES))
    }

    /// The prefixes (network order) that have a way, with their lengths.
    pub fn known_routes(&self) -> Result<Vec<(u32, u8)>, PlaneError> {
        let routes = guard(&self.routes);
        let keys = routes.keys();
        let known = keys.map(|key| key.map(|key| (key.data(), key.prefix_len() as u8)));
        known.collect::<Result<_, _>>().map_err(refused(ROUTES))
    }

    /// Sets or removes a neighbour's next hop.
    pub fn set_neighbour(&self, key: NeighbourKey, hop: Option<u32>) -> Result<(), PlaneError> {
        let key = [key.ifindex, key.address];
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
        let known = keys.map(|key| key.map(|[ifindex, address]| NeighbourKey { ifindex, address }));
        known.collect::<Result<_, _>>().map_err(refused(NEIGHBOURS))
    }
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
