//! What control asks of a data plane: its tables as memory, its clock, and the two tables that
//! only a system call reaches.

use std::io;

use conntable::{Bucket, SlotV4, SlotV6};
use model::Settings;
use thiserror::Error;

use crate::defence::Defence;
use crate::{Sizes, settings};

/// A data plane: the forwarding code's tables, wherever it runs.
///
/// Every method takes `&self`, since packets use the same tables at the same time; the cells take
/// care of that.
pub trait Plane {
    /// All tables but the connections, as slices.
    fn view(&self) -> abi::View<'_>;

    /// The connection table: a multiple of four buckets.
    fn connections(&self) -> &[Bucket<SlotV4>];

    /// The connection table for IPv6, likewise.
    fn connections_v6(&self) -> &[Bucket<SlotV6>];

    /// Sees to it that the forwarding code can do what a configuration needs, before packets meet that
    /// configuration. It stays able to. This may take seconds.
    ///
    /// # Errors
    /// When the kernel refuses the code.
    fn prepare(&self, needs: abi::Needs) -> Result<(), PlaneError>;

    /// The tick that packets see now.
    fn now(&self) -> abi::Tick;

    /// Returns when no packet can still be using what was published before the call.
    fn wait_for_readers(&self);

    /// Sets or removes the way to the addresses of a prefix. Removing what is not there is no
    /// error.
    ///
    /// # Errors
    /// When the table is full, or the kernel refuses.
    fn set_route(
        &self,
        prefix: TablePrefix,
        value: Option<abi::RouteValue>,
    ) -> Result<(), PlaneError>;

    /// Sets or removes the next hop of a neighbour, by its index. Removing what is not there is no
    /// error.
    ///
    /// # Errors
    /// When the table is full, or the kernel refuses.
    fn set_neighbour(&self, key: abi::NeighbourKey, hop: Option<u32>) -> Result<(), PlaneError>;

    /// Notes that a real server of VS/NAT takes connections there, or does no longer. Removing what is
    /// not there is no error.
    ///
    /// # Errors
    /// When the table is full, or the kernel refuses.
    fn set_real_server(&self, key: abi::RealServerKey, is_there: bool) -> Result<(), PlaneError>;

    /// Where real servers are noted to take connections.
    ///
    /// # Errors
    /// When the kernel does not tell.
    fn known_real_servers(&self) -> Result<Vec<abi::RealServerKey>, PlaneError>;

    /// The prefixes that have a way.
    ///
    /// # Errors
    /// When the kernel does not tell.
    fn known_routes(&self) -> Result<Vec<TablePrefix>, PlaneError>;

    /// The neighbours that have a next hop.
    ///
    /// # Errors
    /// When the kernel does not tell.
    fn known_neighbours(&self) -> Result<Vec<abi::NeighbourKey>, PlaneError>;
}

/// A data plane whose tables can be asked one by one what packets are told.
pub trait Peek: Plane {
    /// The kernel's tick, exactly, and without the offset that tests set.
    fn tick(&self) -> abi::Tick;
    /// The most specific route to an address.
    fn route(&self, is_v6: bool, address: abi::Address) -> Option<abi::RouteValue>;
    /// The index of a neighbour's next hop.
    fn neighbour(&self, key: &abi::NeighbourKey) -> Option<u32>;
    /// Whether a real server of VS/NAT takes connections there.
    fn is_real_server(&self, key: &abi::RealServerKey) -> bool;
    /// What a datagram's first fragment decided.
    fn fragment(&self, key: &abi::FragmentKey) -> Option<abi::FragmentValue>;
    /// As [`Peek::fragment`], for IPv6.
    fn fragment_v6(&self, key: &abi::FragmentKeyV6) -> Option<abi::FragmentValue>;
    /// The destination of a virtual address.
    fn locality(&self, key: &abi::LocalityKey) -> Option<u32>;
    /// The destinations of a virtual address.
    fn locality_set(&self, key: &abi::LocalityKey) -> Option<sched::lblcr::Set>;
}

/// A prefix as tables hold it: the bits of the address beyond the length are zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TablePrefix {
    /// Whether it is of IPv6.
    pub is_v6: bool,
    /// Its address.
    pub address: abi::Address,
    /// How many bits of it count.
    pub length: u8,
}

/// Why a data plane did not take a change.
#[derive(Debug, Error)]
pub enum PlaneError {
    /// A table has no room left.
    #[error("the table of {table} is full\nhint: {hint}")]
    Full {
        /// What the table holds.
        table: &'static str,
        /// What to do about it.
        hint: &'static str,
    },
    /// The forwarding code cannot be made ready for a configuration.
    #[error("packets cannot be forwarded that way: {0}")]
    NotPrepared(Box<dyn std::error::Error + Send + Sync>),
    /// The kernel said no.
    #[error("the kernel refused to change the table of {table}: {source}")]
    Refused {
        /// What the table holds.
        table: &'static str,
        /// What it said.
        source: io::Error,
    },
}

/// Writes what does not change while a data plane lives: versions, masks, the hash seed; and the
/// settings at their defaults. For tables just made; an adopted data plane has it all.
///
/// `seed` should not be guessable from outside, so that nobody can aim at one bucket.
pub fn initialise(view: &abi::View<'_>, sizes: &Sizes, ticks_per_second: u32, seed: u32) {
    let globals = view.globals;
    globals.side.store(0);
    globals.routing_generation.store(1);
    globals.ticks_per_second.store(ticks_per_second);
    globals.buckets.store(sizes.buckets());
    globals.buckets_v6.store(sizes.buckets_v6());
    globals.address_mask.store(sizes.address_cells() - 1);
    globals.address_mask_v6.store(sizes.address_cells() - 1);
    globals.service_mask.store(sizes.service_cells() - 1);
    globals.hash_seed.store(seed);
    globals.destinations.store(sizes.destinations);
    settings::write(view, &Settings::default(), Defence::default());
    globals.abi_version.publish(abi::ABI_VERSION);
}
