//! How large the tables are made.

use conntable::{BUCKET_SLOTS, Hop, NO_DESTINATION, Name, TOGETHER as BUCKETS};
use thiserror::Error;

/// Connections of the buckets that a table has a multiple of.
const TOGETHER: u32 = BUCKETS * BUCKET_SLOTS as u32;

/// How many of each thing fit. Chosen when the tables are made, and kept with them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sizes {
    /// Connections: a multiple of 32 from [`Self::MIN_CONNECTIONS`] to [`Self::MAX_CONNECTIONS`].
    pub connections: u32,
    /// Connections over IPv6, which have a table of their own; likewise.
    pub connections_v6: u32,
    /// Virtual services.
    pub services: u32,
    /// Destinations of all services together, those removed but still used by connections
    /// included.
    pub destinations: u32,
    /// Places in the lists of destinations that services and their schedules consist of.
    pub members: u32,
    /// Blocks of schedules: one for each distinct weight in a weighted round robin.
    pub blocks: u32,
    /// Lines of the tables that hashing schedulers look destinations up in: 16 slots each.
    pub lookups: u32,
    /// Next hops.
    pub next_hops: u32,
    /// Processors that packets may run on (the kernel's possible ones).
    pub processors: u32,
}

/// A size that cannot be.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{what} cannot be {given}\nhint: choose {smallest} to {largest}")]
pub struct SizeError {
    /// What was given.
    pub what: &'static str,
    /// The number.
    pub given: u32,
    /// The smallest that can be.
    pub smallest: u32,
    /// The largest that can be.
    pub largest: u32,
}

/// What a slot of the connection table has bits for.
const _: () = {
    assert!(Sizes::MAX_CONFIGURED * 2 <= Hop::INDICES);
    assert!(Sizes::MAX_CONFIGURED <= NO_DESTINATION);
    assert!(Sizes::MAX_CONNECTIONS <= Name::SLOTS);
};

impl Sizes {
    /// The fewest connections a table is made for.
    pub const MIN_CONNECTIONS: u32 = 1 << 10;
    /// The most connections a table is made for.
    pub const MAX_CONNECTIONS: u32 = 1 << 27;
    /// The most virtual services, and the most destinations.
    pub const MAX_CONFIGURED: u32 = 1 << 20;

    /// The sizes where nobody chose any.
    pub const fn defaults(processors: u32) -> Self {
        Self {
            connections: 1 << 20,
            connections_v6: 1 << 18,
            services: 1 << 14,
            destinations: 1 << 17,
            members: 1 << 20,
            blocks: 1 << 18,
            lookups: 1 << 18,
            next_hops: 1 << 18,
            processors,
        }
    }

    /// The sizes that follow from the three that a person chooses. `connections` is rounded up to
    /// a multiple of 32.
    ///
    /// # Errors
    /// When one of them is out of its range.
    pub fn chosen(
        connections: u32,
        services: u32,
        destinations: u32,
        processors: u32,
    ) -> Result<Self, SizeError> {
        check(
            "the number of connections",
            connections,
            Self::MIN_CONNECTIONS,
            Self::MAX_CONNECTIONS,
        )?;
        check("the number of services", services, 1, Self::MAX_CONFIGURED)?;
        check(
            "the number of destinations",
            destinations,
            1,
            Self::MAX_CONFIGURED,
        )?;
        Ok(Self {
            connections: connections.next_multiple_of(TOGETHER),
            connections_v6: (connections / 4)
                .max(Self::MIN_CONNECTIONS)
                .next_multiple_of(TOGETHER),
            services,
            destinations,
            // A list, its schedule, and both again while a change is published.
            members: (destinations * 8).max(4096),
            blocks: (destinations * 2).max(services * 8).max(2048),
            // sh and dh take 16 lines, mh 256, maglev 4097, and that twice while a change is published.
            lookups: (services * 16).clamp(16384, 1 << 20),
            // Clients' routers and neighbours have next hops too.
            next_hops: (destinations * 2).max(4096),
            processors: processors.max(1),
        })
    }

    /// Buckets of the connection table.
    pub const fn buckets(&self) -> u32 {
        self.connections / BUCKET_SLOTS as u32
    }

    /// Buckets of the connection table for IPv6.
    pub const fn buckets_v6(&self) -> u32 {
        self.connections_v6 / BUCKET_SLOTS as u32
    }

    /// Service cells of one side: a power of two, and so many that a search stays short.
    pub const fn service_cells(&self) -> u32 {
        (self.services * 4).next_power_of_two()
    }

    /// Address cells of one side, likewise. Every service and every destination may bring an
    /// address of its own.
    pub const fn address_cells(&self) -> u32 {
        ((self.services + self.destinations) * 4).next_power_of_two()
    }

    /// Words of one side's filter before the address cells: 16 bits for each address that fits.
    pub const fn filter_words(&self) -> u32 {
        abi::filter_words(self.address_cells() - 1)
    }

    /// Local addresses of FULLNAT in all services' pools, those of a change that is being published
    /// included.
    pub const fn local_cells(&self) -> u32 {
        if self.services > 1024 {
            self.services * 4
        } else {
            4096
        }
    }

    /// Statistics cells: one for every destination and processor.
    pub const fn stats_cells(&self) -> u32 {
        self.destinations * self.processors
    }
}

fn check(what: &'static str, given: u32, smallest: u32, largest: u32) -> Result<(), SizeError> {
    if (smallest..=largest).contains(&given) {
        return Ok(());
    }
    Err(SizeError {
        what,
        given,
        smallest,
        largest,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_are_rounded_up_to_whole_groups_of_buckets() {
        let sizes = Sizes::chosen(100_001, 10, 100, 2).unwrap();
        assert_eq!((sizes.connections, sizes.buckets()), (100_032, 12_504));
        assert_eq!((sizes.connections_v6, sizes.buckets_v6()), (25_024, 3128));
    }

    #[test]
    fn a_size_out_of_range_is_refused_with_the_range() {
        let error = Sizes::chosen(1000, 10, 100, 2).unwrap_err();
        assert!(error.to_string().contains("1024 to 134217728"), "{error}");
        assert!(Sizes::chosen((1 << 27) + 1, 10, 100, 2).is_err());
        assert!(Sizes::chosen(1024, 0, 100, 2).is_err());
        assert!(Sizes::chosen(1024, 10, 0, 2).is_err());
    }

    #[test]
    fn the_largest_sizes_fit_their_numbers() {
        let most = Sizes::MAX_CONFIGURED;
        let sizes = Sizes::chosen(Sizes::MAX_CONNECTIONS, most, most, 512).unwrap();
        assert!(sizes.service_cells() >= most && sizes.address_cells() >= 2 * most);
        assert_eq!(sizes.stats_cells(), most * 512);
    }

    #[test]
    fn the_defaults_are_what_the_range_allows() {
        let defaults = Sizes::defaults(4);
        let chosen = Sizes::chosen(
            defaults.connections,
            defaults.services,
            defaults.destinations,
            4,
        );
        assert_eq!(chosen, Ok(defaults));
    }
}
