//! The BPF program with its tables.

use std::collections::BTreeMap;

use aya::maps::{Array, HashMap, MapData, PerCpuArray};
use aya::programs::tc::{NlOptions, TcAttachOptions, qdisc_add_clsact, qdisc_detach_program};
use aya::programs::{
    LinkOrder, SchedClassifier, TcAttachType, TestRun, TestRunOptions, tc::SchedClassifierLinkId,
};
use aya::util::KernelVersion;
use aya::{Ebpf, EbpfLoader};
use decap::{Address, Outcome};

use crate::error::{Error, reason};
use crate::settings::Tunnels;

/// The program's name, by which a filter that an earlier process left is found.
const NAME: &str = "xvs_decap";

/// How many addresses the table holds.
const MOST_ADDRESSES: usize = 4096;

/// The first kernel that has links for TC.
const TCX: KernelVersion = KernelVersion::new(6, 6, 0);

/// The program, loaded. Dropping it detaches it from all interfaces.
pub struct Program {
    ebpf: Ebpf,
    addresses: HashMap<MapData, Address, u32>,
    counters: PerCpuArray<MapData, u64>,
    /// What is in the table of addresses.
    known: BTreeMap<Address, u32>,
}

/// A place where the program is attached.
#[derive(Debug)]
pub(crate) struct Attached(SchedClassifierLinkId);

/// What the program did with a frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ran {
    /// Its return code, one of TC's.
    pub code: i32,
    /// The frame as it is now.
    pub frame: Vec<u8>,
}

impl Program {
    /// Loads the program, and tells it which tunnels end here.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn load(tunnels: &Tunnels) -> Result<Self, Error> {
        let object = aya::include_bytes_aligned!(env!("XVS_REALSERVER_OBJECT"));
        let mut ebpf = EbpfLoader::new().load(object).map_err(Error::Load)?;
        let mut map = |name: &str| ebpf.take_map(name).expect("the object has this map");
        let table = |name| move |cause| Error::Table { name, cause };
        let mut settings: Array<_, [u32; 2]> =
            map("SETTINGS").try_into().map_err(table("SETTINGS"))?;
        let addresses = map("ADDRESSES").try_into().map_err(table("ADDRESSES"))?;
        let counters = map("COUNTERS").try_into().map_err(table("COUNTERS"))?;
        settings
            .set(0, tunnels.words(), 0)
            .map_err(table("SETTINGS"))?;
        let mut program = Self {
            ebpf,
            addresses,
            counters,
            known: BTreeMap::new(),
        };
        program
            .classifier()
            .load()
            .map_err(|error| Error::Program {
                cause: reason(&error),
            })?;
        Ok(program)
    }

    fn classifier(&mut self) -> &mut SchedClassifier {
        let program = self.ebpf.program_mut(NAME);
        let program = program.expect("the object has this program");
        program.try_into().expect("and it is one for TC")
    }

    /// Attaches the program to an interface's ingress.
    pub(crate) fn attach(&mut self, interface: &str) -> Result<Attached, Error> {
        let failed = |cause: String| Error::Attach {
            interface: interface.to_owned(),
            cause,
        };
        let has_links = KernelVersion::current().is_ok_and(|kernel| kernel >= TCX);
        let options = if has_links {
            TcAttachOptions::TcxOrder(LinkOrder::default())
        } else {
            // A qdisc that is there already will do, and a filter of ours outlives a killed process.
            let _there_already = qdisc_add_clsact(interface);
            let _none = qdisc_detach_program(interface, TcAttachType::Ingress, NAME);
            TcAttachOptions::Netlink(NlOptions::default())
        };
        let attached =
            self.classifier()
                .attach_with_options(interface, TcAttachType::Ingress, options);
        attached
            .map(Attached)
            .map_err(|error| failed(reason(&error)))
    }

    /// Detaches it from an interface, which may be gone.
    pub(crate) fn detach(&mut self, place: Attached) {
        if let Err(error) = self.classifier().detach(place.0) {
            tracing::debug!(%error, "the program was detached already");
        }
    }

    /// Makes the table of addresses hold these, with what they are here (bits of [`decap::layout`]).
    ///
    /// # Errors
    /// When there are too many, or the kernel refuses.
    pub fn set_addresses(&mut self, wanted: BTreeMap<Address, u32>) -> Result<(), Error> {
        if wanted.len() > MOST_ADDRESSES {
            let most = MOST_ADDRESSES;
            return Err(Error::TooManyAddresses { most });
        }
        let failed = |cause| Error::Table {
            name: "ADDRESSES",
            cause,
        };
        for address in self.known.keys() {
            if !wanted.contains_key(address) {
                self.addresses.remove(address).map_err(failed)?;
            }
        }
        for (address, role) in &wanted {
            if self.known.get(address) != Some(role) {
                self.addresses.insert(address, role, 0).map_err(failed)?;
            }
        }
        self.known = wanted;
        Ok(())
    }

    /// How many packets came to each outcome.
    ///
    /// # Errors
    /// When the kernel does not tell.
    pub fn counters(&self) -> Result<Vec<(Outcome, u64)>, Error> {
        let read = |outcome: &Outcome| {
            let counts = self.counters.get(&(*outcome as u32), 0);
            let counts = counts.map_err(|cause| Error::Table {
                name: "COUNTERS",
                cause,
            })?;
            Ok((*outcome, counts.iter().sum()))
        };
        Outcome::ALL.iter().map(read).collect()
    }

    /// Runs the program on a frame as if it had come in on `lo` (BPF_PROG_TEST_RUN).
    ///
    /// # Errors
    /// When the kernel refuses the frame.
    pub fn run(&mut self, frame: &[u8]) -> Result<Ran, Error> {
        // Taking a packet out may make it longer for a moment, and never in the end.
        let mut output = vec![0; frame.len() + 64];
        let options = TestRunOptions {
            data_in: Some(frame),
            data_out: Some(&mut output),
            ..TestRunOptions::default()
        };
        let ran = self.classifier().test_run(options).map_err(Error::Run)?;
        let length = ran.data_size_out as usize;
        output.truncate(length);
        Ok(Ran {
            code: ran.return_value.cast_signed(),
            frame: output,
        })
    }
}
