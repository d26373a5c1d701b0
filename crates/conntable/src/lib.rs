//! The connection table: open addressing in an array of cache lines that the kernel's packets and
//! the daemon share.
//!
//! A [`Bucket`] is eight slots of 64 bytes. A connection lives in its home bucket or, where that
//! is full, in its second bucket; both follow from the hash of the client's side. The home bucket
//! is marked when something went to a second one, so that a search looks there only when it may
//! help.
//!
//! Everything that changes together stands in a slot's [`Word`]: whether it is free, the
//! connection's state, when it dies, and an epoch that grows whenever the slot is taken. The word
//! is changed by compare-and-swap only, so each of these happens exactly once, whoever does it:
//! a slot is claimed, published, moved to another state, and freed. The other fields are written
//! between claiming and publishing, and do not change afterwards but for the ones that say so.
//!
//! A connection whose time has passed is absent to every search, at once; its slot is freed, and
//! its counters taken back, by whoever gets to it first: an insertion that needs the slot, or a
//! sweep.
#![no_std]

mod slot;
mod table;
mod word;

pub use slot::{Direction, Entry, NewConnection, Query, SlotV4};
pub use table::{Claim, Claimed, Died, Found, Position, Table};
pub use word::{Life, Word};

/// Slots in a bucket.
pub const BUCKET_SLOTS: usize = 8;

/// A group of slots that one hash points to.
#[repr(C, align(64))]
#[derive(Debug, Default)]
pub struct Bucket<E>(pub [E; BUCKET_SLOTS]);

/// Where the buckets are: a BPF array map in the kernel, a slice in user space.
pub trait Buckets<'t> {
    /// The kind of entry.
    type Entry: Entry + 't;
    /// The bucket at `index`, `None` past the end.
    fn bucket(&self, index: u32) -> Option<&'t Bucket<Self::Entry>>;
}

impl<'t, E: Entry> Buckets<'t> for &'t [Bucket<E>] {
    type Entry = E;

    fn bucket(&self, index: u32) -> Option<&'t Bucket<E>> {
        self.get(index as usize)
    }
}
