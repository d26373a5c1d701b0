//! The benchmark's own BPF programs, loaded.

use std::net::Ipv4Addr;
use std::path::Path;

use aya::maps::{Array, MapData, PerCpuArray, ProgramArray};
use aya::programs::{ProgramFd, SchedClassifier, TestRun, TestRunOptions, TestRunResult, Xdp};
use aya::{Ebpf, EbpfLoader, TestRunAttrs};
use aya_obj::programs::XdpAttachType;
use plane_bpf::Hook;

use crate::director::CONNECTIONS;
use crate::error::{Error, refused};
use crate::pattern::{Pattern, Words};

/// Frames that are sent at once.
const BATCH: u32 = 64;

/// The front programs, the empty ones and the sinks.
pub struct Object {
    ebpf: Ebpf,
    pattern: Array<MapData, Words>,
    seen: PerCpuArray<MapData, u64>,
    ways: Array<MapData, WayWords>,
    xdp_under_test: ProgramArray<MapData>,
    tc_under_test: ProgramArray<MapData>,
    /// The first frame of the pattern that was set last, which the context of a run follows.
    frame: Vec<u8>,
}

/// As the map `WAYS` has it.
type WayWords = [u32; 8];

/// What the simplest director, which has no table, does with packets in one direction.
#[derive(Debug, Clone, Copy)]
pub struct Way {
    /// Interface to leave by.
    pub ifindex: u32,
    /// Whose address and port are rewritten.
    pub from: (Ipv4Addr, u16),
    /// What takes their place.
    pub to: (Ipv4Addr, u16),
    /// The MAC addresses of what leaves: destination, source.
    pub macs: [[u8; 6]; 2],
}

impl Way {
    fn words(&self) -> WayWords {
        let address = |(address, _): (Ipv4Addr, u16)| u32::from_ne_bytes(address.octets());
        let port = |(_, port): (Ipv4Addr, u16)| u32::from(port.to_be());
        let macs = self.macs.concat();
        let word = |first: usize| {
            let bytes = macs[first..first + 4].try_into();
            u32::from_ne_bytes(bytes.expect("four bytes of twelve"))
        };
        let ends = [
            address(self.from),
            address(self.to),
            port(self.from),
            port(self.to),
        ];
        let [old, new, old_port, new_port] = ends;
        let ifindex = self.ifindex;
        [
            ifindex,
            old,
            new,
            old_port,
            new_port,
            word(0),
            word(4),
            word(8),
        ]
    }
}

/// What is measured behind a front program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tested<'a> {
    /// The empty program.
    Empty,
    /// One that only puts 20 bytes in front of the frame, on XDP.
    Grow,
    /// One that does little else than to read or to take a place of a table as large as the director's,
    /// by its name, on XDP.
    Little(&'static str),
    /// The director's, by the folder of its pins.
    Director(&'a Path),
}

/// Connections over IPv4 that a cache line has: the table that is read is as large as theirs.
const SLOTS_TO_A_LINE: u32 = 2;

impl Object {
    /// Loads everything.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn load() -> Result<Self, Error> {
        Self::load_with(CONNECTIONS / SLOTS_TO_A_LINE)
    }

    /// Loads everything; the table that [`Tested::Little`] looks at has so many places.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn load_with(touched: u32) -> Result<Self, Error> {
        let bytes = aya::include_bytes_aligned!(env!("XVS_BENCH_OBJECT"));
        let what = "the benchmark's programs cannot be loaded";
        let mut ebpf = EbpfLoader::new()
            .map_max_entries("TOUCHED", touched)
            .load(bytes)
            .map_err(refused(what))?;
        for (_, program) in ebpf.programs_mut() {
            match program {
                aya::programs::Program::Xdp(program) => program.load().map_err(refused(what))?,
                aya::programs::Program::SchedClassifier(program) => {
                    program.load().map_err(refused(what))?;
                }
                _ => {}
            }
        }
        let mut map = |name: &str| ebpf.take_map(name).expect("the object has this map");
        Ok(Self {
            pattern: map("PATTERN").try_into().map_err(refused(what))?,
            seen: map("SEEN").try_into().map_err(refused(what))?,
            ways: map("WAYS").try_into().map_err(refused(what))?,
            xdp_under_test: map("XDP_UNDER_TEST").try_into().map_err(refused(what))?,
            tc_under_test: map("TC_UNDER_TEST").try_into().map_err(refused(what))?,
            frame: Vec::new(),
            ebpf,
        })
    }

    /// An XDP program of the object.
    pub fn xdp(&mut self, name: &str) -> &mut Xdp {
        let program = self
            .ebpf
            .program_mut(name)
            .expect("the object has this program");
        program.try_into().expect("and it is an XDP program")
    }

    /// A TC program of the object.
    pub fn classifier(&mut self, name: &str) -> &mut SchedClassifier {
        let program = self
            .ebpf
            .program_mut(name)
            .expect("the object has this program");
        program.try_into().expect("and it is a TC program")
    }

    /// Packets that the sinks have counted.
    ///
    /// # Errors
    /// When the kernel does not tell.
    pub fn seen(&self) -> Result<u64, Error> {
        let counters = self.seen.get(&0, 0);
        counters
            .map(|counters| counters.iter().sum())
            .map_err(refused("the sink's counters cannot be read"))
    }

    /// What the simplest director does with packets to the real server, and to the client.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn set_ways(&mut self, ways: [Way; 2]) -> Result<(), Error> {
        for (number, way) in (0..).zip(ways) {
            let set = self.ways.set(number, way.words(), 0);
            set.map_err(refused("a way cannot be set"))?;
        }
        Ok(())
    }

    /// What the front programs write from now on, beginning with the first flow.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn write(&mut self, pattern: &Pattern) -> Result<(), Error> {
        self.frame = pattern.frame();
        let what = "the packet's pattern cannot be set";
        self.pattern
            .set(0, pattern.words(), 0)
            .map_err(refused(what))
    }

    /// Puts a program behind the front program of a hook.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn test(&mut self, hook: Hook, tested: Tested<'_>) -> Result<(), Error> {
        let program = self.descriptor(hook, tested)?;
        let array = match hook {
            Hook::Xdp => &mut self.xdp_under_test,
            Hook::Ingress => &mut self.tc_under_test,
        };
        array
            .set(0, &program, 0)
            .map_err(refused("the program under test cannot be set"))
    }

    fn descriptor(&mut self, hook: Hook, tested: Tested<'_>) -> Result<ProgramFd, Error> {
        let what = "the program under test cannot be opened";
        let clone = |program: &ProgramFd| program.try_clone().map_err(refused(what));
        match (hook, tested) {
            (Hook::Xdp, Tested::Empty) => {
                clone(self.xdp("xvs_empty_xdp").fd().map_err(refused(what))?)
            }
            (_, Tested::Grow) => clone(self.xdp("xvs_grow_xdp").fd().map_err(refused(what))?),
            (_, Tested::Little(name)) => clone(self.xdp(name).fd().map_err(refused(what))?),
            (Hook::Ingress, Tested::Empty) => clone(
                self.classifier("xvs_empty_tc")
                    .fd()
                    .map_err(refused(what))?,
            ),
            (Hook::Xdp, Tested::Director(pins)) => {
                let path = pins.join("programs/xvs_xdp");
                let pinned =
                    Xdp::from_pin(path, XdpAttachType::Interface).map_err(refused(what))?;
                clone(pinned.fd().map_err(refused(what))?)
            }
            (Hook::Ingress, Tested::Director(pins)) => {
                let path = pins.join("programs/xvs_ingress");
                let pinned = SchedClassifier::from_pin(path).map_err(refused(what))?;
                clone(pinned.fd().map_err(refused(what))?)
            }
        }
    }

    /// Runs the front program of a hook, and what is behind it.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn run(&mut self, hook: Hook, repeat: u32) -> Result<TestRunResult, Error> {
        let frame = self.frame.clone();
        match hook {
            Hook::Xdp => run(self.xdp("xvs_bench_xdp"), &frame, repeat),
            Hook::Ingress => run(self.classifier("xvs_bench_tc"), &frame, repeat),
        }
    }

    /// Sends packets out of an interface of this thread's network namespace, as the front program
    /// writes them. Its return code must be XDP_TX, and nothing be tested.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn send(&mut self, ifindex: u32, number: u32) -> Result<(), Error> {
        let frame = self.frame.clone();
        let length = frame.len() as u32;
        // struct xdp_md: data, data_end, data_meta, ingress_ifindex, rx_queue_index, egress.
        let context = [0, length, 0, ifindex, 0, 0].map(u32::to_ne_bytes).concat();
        let options = TestRunOptions {
            data_in: Some(&frame),
            ctx_in: Some(&context),
            repeat: number,
            attrs: TestRunAttrs::new().xdp_live_frames(BATCH),
            ..TestRunOptions::default()
        };
        let sent = self.xdp("xvs_bench_xdp").test_run(options);
        sent.map(drop)
            .map_err(refused("BPF_PROG_TEST_RUN with live frames"))
    }

    /// Runs the empty program of a hook alone.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn run_empty(&mut self, hook: Hook, repeat: u32) -> Result<TestRunResult, Error> {
        let frame = self.frame.clone();
        match hook {
            Hook::Xdp => run(self.xdp("xvs_empty_xdp"), &frame, repeat),
            Hook::Ingress => run(self.classifier("xvs_empty_tc"), &frame, repeat),
        }
    }
}

fn run<P>(program: &P, frame: &[u8], repeat: u32) -> Result<TestRunResult, Error>
where
    P: for<'a> TestRun<Opts<'a> = TestRunOptions<'a>, Result = TestRunResult>,
{
    let options = TestRunOptions {
        data_in: Some(frame),
        repeat,
        ..TestRunOptions::default()
    };
    program
        .test_run(options)
        .map_err(refused("BPF_PROG_TEST_RUN"))
}
