//! The maps in which packets remember something for later ones, and which only system calls reach.

use std::fmt;
use std::sync::{Mutex, PoisonError};

use abi::{FragmentKey, FragmentKeyV6, FragmentValue, LocalityKey};
use aya::Pod;
use aya::maps::{HashMap, Map, MapData};
use sched::lblcr;

use crate::error::Error;
use crate::object;
use crate::pins::Pins;

/// The maps. Keys and values are the words of the ABI's structures.
pub struct Memories {
    fragments: Remembered<[u32; 3], [u32; 4]>,
    fragments_v6: Remembered<[u32; 9], [u32; 4]>,
    localities: Remembered<[u32; 5], [u32; 2]>,
    locality_sets: Remembered<[u32; 5], [u32; 2 + lblcr::SET_SIZE]>,
}

/// A map that forgets what was not used for longest.
struct Remembered<K, V>(Mutex<HashMap<MapData, K, V>>);

impl<K: Pod, V: Pod> Remembered<K, V> {
    fn open(pins: &Pins, name: &'static str) -> Result<Self, Error> {
        let map = Map::LruHashMap(object::map(pins, name)?);
        let map = HashMap::try_from(map).map_err(|cause| Error::Map { name, cause })?;
        Ok(Self(Mutex::new(map)))
    }

    fn get(&self, key: &K) -> Option<V> {
        // Nothing is ever changed here.
        let map = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        map.get(key, 0).ok()
    }
}

impl fmt::Debug for Memories {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Memories").finish_non_exhaustive()
    }
}

impl Memories {
    /// Opens them by their pins.
    pub fn open(pins: &Pins) -> Result<Self, Error> {
        Ok(Self {
            fragments: Remembered::open(pins, "FRAGMENTS")?,
            fragments_v6: Remembered::open(pins, "FRAGMENTS_V6")?,
            localities: Remembered::open(pins, "LOCALITIES")?,
            locality_sets: Remembered::open(pins, "LOCALITY_SETS")?,
        })
    }

    /// What a datagram's first fragment decided.
    pub fn fragment(&self, key: &FragmentKey) -> Option<FragmentValue> {
        let [a, b] = key.identification.to_ne_bytes();
        let [c, d] = key.protocol.to_ne_bytes();
        let last = u32::from_ne_bytes([a, b, c, d]);
        self.fragments
            .get(&[key.source, key.destination, last])
            .map(decision)
    }

    /// As [`Self::fragment`], for IPv6.
    pub fn fragment_v6(&self, key: &FragmentKeyV6) -> Option<FragmentValue> {
        let [a, b, c, d] = key.source;
        let [e, f, g, h] = key.destination;
        let words = [a, b, c, d, e, f, g, h, key.identification];
        self.fragments_v6.get(&words).map(decision)
    }

    /// The destination of a virtual address.
    pub fn locality(&self, key: &LocalityKey) -> Option<u32> {
        let [destination, _used] = self.localities.get(&words(key))?;
        Some(destination)
    }

    /// The destinations of a virtual address.
    pub fn locality_set(&self, key: &LocalityKey) -> Option<lblcr::Set> {
        let [used, changed, members @ ..] = self.locality_sets.get(&words(key))?;
        Some(lblcr::Set {
            used,
            changed,
            members,
        })
    }
}

fn words(key: &LocalityKey) -> [u32; 5] {
    let [a, b, c, d] = key.address;
    [key.service, a, b, c, d]
}

fn decision([low, high, direction, tick]: [u32; 4]) -> FragmentValue {
    let ([a, b, c, d], [e, f, g, h]) = (low.to_ne_bytes(), high.to_ne_bytes());
    FragmentValue {
        connection: u64::from_ne_bytes([a, b, c, d, e, f, g, h]),
        direction,
        tick,
    }
}
