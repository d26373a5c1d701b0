//! A map's values as a slice in memory.

use std::marker::PhantomData;
use std::os::fd::{AsFd, AsRawFd};

use aya::maps::MapData;
use memmap2::{MmapOptions, MmapRaw};

use crate::error::Error;

/// The values of an array map, shared with the kernel.
pub struct Table<T> {
    memory: MmapRaw,
    length: usize,
    kind: PhantomData<T>,
}

impl<T: Sync> Table<T> {
    /// Maps all values of a map into memory. The map keeps them as long as this lives.
    ///
    /// `T` consists of shared cells only, for which every bit pattern is a value, and has the
    /// map's value size and a layout that the ABI's version guards.
    pub fn map(data: &MapData, what: &'static str) -> Result<Self, Error> {
        // The kernel lays the values out at multiples of eight bytes.
        const { assert!(size_of::<T>().is_multiple_of(8)) };
        let length = data
            .info()
            .map_err(|source| Error::Map { name: what, source })?
            .max_entries();
        let bytes = length as usize * size_of::<T>();
        let memory = MmapOptions::new()
            .len(bytes)
            .map_raw(data.fd().as_fd().as_raw_fd())
            .map_err(Error::file("a table cannot be mapped into memory", what))?;
        Ok(Self {
            memory,
            length: length as usize,
            kind: PhantomData,
        })
    }

    /// All values.
    pub fn all(&self) -> &[T] {
        // SAFETY: the memory is as long as `length` values and page-aligned; it stays mapped as
        // long as `self`. Others write it too, but only through the cells that `T` consists of.
        unsafe { std::slice::from_raw_parts(self.memory.as_ptr().cast(), self.length) }
    }

    /// The only value.
    pub fn one(&self) -> &T {
        &self.all()[0]
    }
}
