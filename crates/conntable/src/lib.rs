//! The connection table: open addressing in an array that the kernel's packets and the daemon share.
//!
//! A [`Bucket`] is eight slots, which are a cache line each, or over IPv4 half a one. The hash of the
//! client's side says in which bucket a connection is at home, and at which of its slots a search for
//! it begins. It lives in that slot or, where somebody else does, in the one beside it in the same
//! cache line or pair of them, or in one of the pair's neighbour; where these are taken too, or the
//! table is [crowded](Crowding), in another one of the bucket or of four others, first of the
//! [roomiest](Table::roomiest). The slot where the search begins is [marked](Word)
//! with where else its connections went, so that a search looks only where it may help: mostly at
//! one cache line. Marks that nobody needs any more are [taken back](marks).
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
//!
//! # How full it gets
//! Connections of random hashes refused in a table of 2^16 slots, all of them living, over 64
//! seeds (`cargo test -p xvs-conntable load -- --ignored --nocapture`):
//!
//! | slots taken | refused |
//! |---|---|
//! | up to 75 % | none of 3.1 million |
//! | 80 % | 1 in 340 000 |
//! | 85 % | 1 in 24 000 |
//! | 90 % | 1 in 1400 |
//!
//! Connections of one client address and port share a hash, so there is room for 40 of them.
//!
//! # Why it holds when all processors work at once
//! - *Whoever changes a word wins or learns that he lost.* Every change is a compare-and-swap of
//!   the whole word, and a slot's epoch grows with each claim: no change of one connection hits the
//!   next in its slot. An epoch comes back after 65 536 claims of one slot, so a reference must not
//!   be kept for longer than these take (hours, at one connection a second in the same slot).
//! - *What is found is what was asked for.* Fields are written only between claim and publication.
//!   A search reads the word, the fields, and the word again; where the epoch is the same, nobody
//!   claimed the slot in between.
//! - *A claim is lent, not given.* One whose owner never publishes is taken back after its time.
//!   The owner learns of it when it publishes, but not before: its writes would hit the next
//!   owner's fields. So a claim's time must be longer than an owner can be held up. In the kernel
//!   that is microseconds, as a packet is not preempted; user space has to allow seconds.
//! - *Time is read, not agreed on.* Two processors may take `now` one tick apart, and one hold a
//!   connection for dead that the other still moves. Then it exists twice for as long as the older
//!   entry is used: the search order decides which one packets find, and both end once.
//! - *Nobody waits.* A compare-and-swap that fails is tried a few times, then the operation fails:
//!   an insertion as if the table were full, a change as if the connection were gone.
#![no_std]

mod alias;
mod claim;
mod hop;
pub mod marks;
mod position;
mod search;
mod slot;
mod table;
mod word;

pub use claim::{Claim, Claimed, Crowding};
pub use hop::{Hop, Name};
pub use position::{Handle, Position};
pub use search::Found;
pub use slot::{
    Cells, Direction, End, Entry, Kind, Load, NO_DESTINATION, NewConnection, Query, Question, Slot,
    SlotOf, SlotV4, SlotV6, Words,
};
pub use table::{Died, Table};
pub use word::{Life, Word};

/// Slots in a bucket.
pub const BUCKET_SLOTS: usize = 8;
/// Neighbours that a connection may be in beside its home: a table has a multiple of so many buckets.
pub const TOGETHER: u32 = 4;

/// A group of slots that one hash points to.
#[repr(C, align(64))]
#[derive(Debug, Default)]
pub struct Bucket<E>(pub [E; BUCKET_SLOTS]);

/// Where the buckets are: a BPF array map in the kernel, a slice in user space.
pub trait Buckets<'t>: Sized {
    /// The kind of entry.
    type Entry: Entry + 't;
    /// The bucket at `index`, `None` past the end.
    fn bucket(&self, index: u32) -> Option<&'t Bucket<Self::Entry>>;
    /// The address and port of a destination, by its number; `None` where there is no such
    /// destination, and where nobody asks for connections by their real server.
    fn server(&self, destination: u32) -> Option<(<Self::Entry as Entry>::Address, u16)>;
    /// [`Table::find_far`], which BPF wants as a function that is verified by itself.
    #[inline(always)]
    fn find_far(
        table: &Table<Self>,
        hash: u32,
        query: &Query<<Self::Entry as Entry>::Address>,
        now: u32,
    ) -> Option<Found<'t, Self::Entry>> {
        table.find_far(hash, query, now)
    }
    /// [`Table::claim_from`] the [roomiest](Table::roomiest) bucket, likewise. Times as in
    /// [`Table::claim`].
    #[inline(always)]
    fn claim_further(table: &Table<Self>, hash: u32, times: (u32, u32)) -> Claim<'t, Self::Entry> {
        table.claim_from(hash, times, table.roomiest(hash, times.0))
    }
}

impl<'t, E: Entry> Buckets<'t> for &'t [Bucket<E>] {
    type Entry = E;

    fn bucket(&self, index: u32) -> Option<&'t Bucket<E>> {
        self.get(index as usize)
    }

    fn server(&self, _destination: u32) -> Option<(E::Address, u16)> {
        None
    }
}
