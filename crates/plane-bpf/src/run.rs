//! Running the programs by hand on frames (BPF_PROG_TEST_RUN): for packet tests and benchmarks.

use std::time::Duration;

use aya::programs::{SchedClassifier, TestRun, TestRunOptions, Xdp};

use crate::error::Error;
use crate::programs::Programs;

/// A program to run by hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hook {
    /// The XDP program.
    Xdp,
    /// The program on TC's ingress.
    Ingress,
}

/// What a run by hand gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ran {
    /// The hook's return code.
    pub code: u32,
    /// The frame afterwards.
    pub frame: Vec<u8>,
    /// Time of one run, on average.
    pub duration: Duration,
}

/// How much longer a frame may get.
const ROOM: usize = 256;
/// Length of `struct xdp_md`, and of as much of `struct __sk_buff` as we set, in words.
const XDP_WORDS: usize = 6;
const SKB_WORDS: usize = 11;
/// Where in them the words are that we set.
const XDP_DATA_END: usize = 1;
const XDP_INGRESS_IFINDEX: usize = 3;
const SKB_IFINDEX: usize = 10;

/// Runs a program on a frame that came in by an interface, a number of times in a row: from the
/// second time on, on what it made of the frame.
pub fn run(
    programs: &Programs,
    hook: Hook,
    ifindex: Option<u32>,
    frame: &[u8],
    repeat: u32,
) -> Result<Ran, Error> {
    let context = ifindex.map(|ifindex| context(hook, ifindex, frame));
    let tested = match hook {
        Hook::Xdp => Tested::Xdp(programs.xdp()),
        Hook::Ingress => Tested::Tc("xvs_ingress", programs.ingress()),
    };
    tested.run(context.as_deref(), frame, repeat)
}

/// Runs the program of TC's egress on a frame that this machine sends.
pub fn run_egress(programs: &Programs, frame: &[u8]) -> Result<Ran, Error> {
    Tested::Tc("xvs_egress", programs.egress()).run(None, frame, 1)
}

/// A program to run.
enum Tested<'a> {
    Xdp(&'a Xdp),
    Tc(&'static str, &'a SchedClassifier),
}

impl Tested<'_> {
    fn run(self, context: Option<&[u8]>, frame: &[u8], repeat: u32) -> Result<Ran, Error> {
        let mut out = vec![0; frame.len() + ROOM];
        let options = TestRunOptions {
            data_in: Some(frame),
            data_out: Some(&mut out),
            ctx_in: context,
            repeat,
            ..TestRunOptions::default()
        };
        let (name, result) = match self {
            Self::Xdp(program) => ("xvs_xdp", program.test_run(options)),
            Self::Tc(name, program) => (name, program.test_run(options)),
        };
        let result = result.map_err(|cause| Error::program(name, cause))?;
        let (code, duration) = (result.return_value, result.duration);
        out.truncate(result.data_size_out as usize);
        Ok(Ran {
            code,
            frame: out,
            duration,
        })
    }
}

/// The program's context.
fn context(hook: Hook, ifindex: u32, frame: &[u8]) -> Vec<u8> {
    let mut words = match hook {
        Hook::Xdp => vec![0; XDP_WORDS],
        Hook::Ingress => vec![0; SKB_WORDS],
    };
    match hook {
        Hook::Xdp => {
            words[XDP_DATA_END] = frame.len() as u32;
            words[XDP_INGRESS_IFINDEX] = ifindex;
        }
        Hook::Ingress => words[SKB_IFINDEX] = ifindex,
    }
    words.into_iter().flat_map(u32::to_ne_bytes).collect()
}
