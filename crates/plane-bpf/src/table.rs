//! A map's values as a slice in memory.

use std::marker::PhantomData;
use std::os::fd::{AsFd, AsRawFd};

use aya::maps::MapData;
use memmap2::{MmapOptions, MmapRaw};

use crate::error::Error;
use crate::object;
use crate::pins::Pins;

/// The values of an array map, shared with the kernel.
#[derive(Debug)]
pub struct Table<T> {
    memory: MmapRaw,
    length: usize,
    kind: PhantomData<T>,
}

impl<T: Sync> Table<T> {
    /// Maps all values of a pinned map into memory. The map keeps them as long as this lives.
    ///
    /// `T` consists of shared cells only, for which every bit pattern is a value.
    pub fn open(pins: &Pins, name: &'static str) -> Result<Self, Error> {
        let map = object::map(pins, name)?;
        Self::of(pins, name, &map, 1)
    }

    /// As [`Self::open`], for a table that is one value of its map.
    pub fn open_direct(pins: &Pins, name: &'static str) -> Result<Self, Error> {
        let map = object::map(pins, name)?;
        let info = map.info().map_err(|cause| Error::Map { name, cause })?;
        let length = info.value_size() as usize / size_of::<T>();
        Self::of(pins, name, &map, length)
    }

    /// As [`Self::open`], for a map of the programs that trace.
    pub fn open_trace(pins: &Pins, name: &'static str) -> Result<Self, Error> {
        let map = object::trace_map(pins, name)?;
        Self::of(pins, name, &map, 1)
    }

    /// `each`: how many there are in one of the map's values.
    fn of(pins: &Pins, name: &'static str, map: &MapData, each: usize) -> Result<Self, Error> {
        // The kernel lays values out at multiples of 8 bytes.
        const { assert!(size_of::<T>().is_multiple_of(8)) };
        let info = map.info().map_err(|cause| Error::Map { name, cause })?;
        let expected = size_of::<T>() * each;
        if info.value_size() as usize != expected || each == 0 {
            return Err(Error::Layout {
                name,
                found: info.value_size(),
                expected,
            });
        }
        let length = info.max_entries() as usize * each;
        let memory = MmapOptions::new()
            .len(length * size_of::<T>())
            .map_raw(map.fd().as_fd().as_raw_fd())
            .map_err(pins.failed("a table cannot be mapped into memory", name))?;
        Ok(Self {
            memory,
            length,
            kind: PhantomData,
        })
    }

    /// All values.
    pub fn all(&self) -> &[T] {
        // SAFETY: the memory holds `length` values of `T`'s size, as `open` has checked, and is
        // page-aligned; it stays mapped as long as `self`. Others write it too, but only through
        // the cells that `T` consists of.
        unsafe { std::slice::from_raw_parts(self.memory.as_ptr().cast(), self.length) }
    }

    /// The only value.
    pub fn one(&self) -> &T {
        &self.all()[0]
    }
}
