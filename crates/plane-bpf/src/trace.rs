//! Tracing: programs that tell what becomes of packets, in the places of the usual ones.

use std::fmt;
use std::path::Path;

use abi::{Needs, TraceFilter, TraceProcessor, TraceRecord};
use aya::maps::{Map, RingBuf};
use control::Sizes;

use crate::error::Error;
use crate::object;
use crate::pins::Pins;
use crate::programs::{self, Programs};
use crate::table::Table;
use crate::tables::Tables;

/// The map that the records come by.
const RECORDS: &str = "TRACE_RECORDS";

/// The programs that trace, and their tables.
#[derive(Debug)]
pub struct Tracing {
    programs: Programs,
    /// What they were loaded for.
    needs: Needs,
    filters: Table<TraceFilter>,
    processors: Table<TraceProcessor>,
}

/// The records. Nobody is woken when one comes: look again from time to time.
pub struct TraceRecords(RingBuf<aya::maps::MapData>);

impl fmt::Debug for TraceRecords {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TraceRecords").finish_non_exhaustive()
    }
}

impl Tracing {
    /// Loads the programs for the data plane of a state folder: [`crate::Plane::start_tracing`] lets
    /// packets meet them. Takes about as long as a start of the daemon.
    ///
    /// # Errors
    /// When there is no data plane, or the kernel refuses the programs.
    pub fn load(state: &Path) -> Result<(Self, TraceRecords), Error> {
        let pins = Pins::find(state).ok_or(Error::NoPlane)?;
        let sizes: Sizes = Tables::open(&pins)?.sizes();
        let needs = programs::noted(&pins);
        let programs = Programs::load_tracing(&pins, &sizes, needs)?;
        let tracing = Self {
            programs,
            needs,
            filters: Table::open_trace(&pins, "TRACE_FILTERS")?,
            processors: Table::open_trace(&pins, "TRACE_PROCESSORS")?,
        };
        let unusable = |cause| Error::Map {
            name: RECORDS,
            cause,
        };
        let map = Map::RingBuf(object::trace_map(&pins, RECORDS)?);
        let records = RingBuf::try_from(map).map_err(unusable)?;
        Ok((tracing, TraceRecords(records)))
    }

    /// What packets are traced, by tracer.
    pub fn filters(&self) -> &[TraceFilter] {
        self.filters.all()
    }

    /// What was traced, by processor.
    pub fn processors(&self) -> &[TraceProcessor] {
        self.processors.all()
    }

    pub(crate) fn needs(&self) -> Needs {
        self.needs
    }

    pub(crate) fn programs(&self) -> &Programs {
        &self.programs
    }
}

impl TraceRecords {
    /// The next record, if there is one by now.
    pub fn take(&mut self) -> Option<TraceRecord> {
        let item = self.0.next()?;
        (item.len() >= TraceRecord::SIZE).then(|| {
            // SAFETY: there are as many bytes as a record has, which consists of integers: any bits
            // are a value of it.
            unsafe { item.as_ptr().cast::<TraceRecord>().read_unaligned() }
        })
    }
}
