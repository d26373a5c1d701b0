//! Waiting until no packet uses what was published before.

use std::fmt;
use std::os::fd::AsFd;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use aya::maps::{ArrayOfMaps, Map, MapData, MapError};

use crate::error::Error;
use crate::sys;

/// What errors call the map.
const NAME: &str = "readers";

/// A map in a map that nobody reads. When an element of one is replaced, the kernel promises that
/// no program still uses the old one by the time the system call returns: it waits for an RCU grace
/// period (`maybe_wait_bpf_programs`), and with it for every program that was running.
///
/// The other way would be the membarrier system call, which is refused where processors are
/// isolated (`nohz_full`), does nothing on a machine with one processor, and promises nothing about
/// BPF programs.
pub struct Readers {
    outer: Mutex<ArrayOfMaps<MapData>>,
    inner: MapData,
}

impl fmt::Debug for Readers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Readers").finish_non_exhaustive()
    }
}

impl Readers {
    /// Makes the two maps.
    pub fn new() -> Result<Self, Error> {
        let unusable = |cause| Error::Map { name: NAME, cause };
        let refused = |io_error| {
            let name = NAME.to_owned();
            unusable(MapError::CreateError { name, io_error })
        };
        let inner = sys::create_array().map_err(refused)?;
        let outer = sys::create_array_of_maps(inner.as_fd()).map_err(refused)?;
        let outer = Map::ArrayOfMaps(MapData::from_fd(outer).map_err(unusable)?);
        Ok(Self {
            outer: Mutex::new(ArrayOfMaps::try_from(outer).map_err(unusable)?),
            inner: MapData::from_fd(inner).map_err(unusable)?,
        })
    }

    /// Returns when every program that was running has ended.
    pub fn wait(&self) {
        let mut outer = self.outer.lock().unwrap_or_else(PoisonError::into_inner);
        // It is refused for want of memory only. Going on without having waited would let packets
        // read what is being written.
        while let Err(error) = outer.set(0, &self.inner, 0) {
            tracing::warn!(%error, "waiting for packets fails for now");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}
