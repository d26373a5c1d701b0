//! Nanoseconds per packet, by BPF_PROG_TEST_RUN.

use std::net::Ipv4Addr;
use std::path::Path;

use abi::Reason;
use control::interfaces::Interface;
use control::nexthops::{Hop, HopState};
use plane_bpf::Hook;

use crate::director::{Bench, REAL, Surroundings, VIRTUAL};
use crate::error::Error;
use crate::object::{Object, Tested};
use crate::pattern::{Kind, Pattern};
use crate::report::{Group, Row};

/// Runs of a program that one value is the mean of.
const REPEAT: u32 = 1 << 20;
/// The loopback interface, on which BPF_PROG_TEST_RUN pretends to have received the frame.
const LOOPBACK: u32 = 1;
/// Nobody's address.
const FOREIGN: Ipv4Addr = Ipv4Addr::new(198, 18, 9, 9);
const MILLION: u32 = 1 << 20;

const XDP_DROP: u32 = 1;
const XDP_PASS: u32 = 2;
const XDP_REDIRECT: u32 = 4;
const TC_OK: u32 = 0;
const TC_SHOT: u32 = 2;
const TC_REDIRECT: u32 = 7;

/// A way that packets take through a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    New,
    Known,
    Reply,
    NotOurs,
}

impl Way {
    const fn pattern(self, flows: u32) -> Pattern {
        let (kind, (address, port)) = match self {
            Self::New => (Kind::FromClient { opens: true }, VIRTUAL),
            Self::Known => (Kind::FromClient { opens: false }, VIRTUAL),
            Self::Reply => (Kind::Reply, REAL),
            Self::NotOurs => (Kind::FromClient { opens: false }, (FOREIGN, 80)),
        };
        Pattern {
            kind,
            address,
            port,
            destination_mac: [0; 6],
            flows,
            code: 0,
        }
    }

    const fn code(self, hook: Hook) -> u32 {
        match (self, hook) {
            (Self::NotOurs, Hook::Xdp) => XDP_PASS,
            (Self::NotOurs, Hook::Ingress) => TC_OK,
            (_, Hook::Xdp) => XDP_REDIRECT,
            (_, Hook::Ingress) => TC_REDIRECT,
        }
    }

    /// The reason that every packet is counted with; XDP leaves counting what it passes to TC.
    const fn reason(self, hook: Hook) -> Option<Reason> {
        match (self, hook) {
            (Self::New | Self::Known, _) => Some(Reason::Forwarded),
            (Self::Reply, _) => Some(Reason::Replied),
            (Self::NotOurs, Hook::Ingress) => Some(Reason::NotOurs),
            (Self::NotOurs, Hook::Xdp) => None,
        }
    }
}

/// Measures every case on both hooks.
///
/// # Errors
/// When the kernel refuses, or packets went another way than the one that is measured.
pub fn measure(runs: usize) -> Result<Vec<Group>, Error> {
    let mut bench = Bench::new(surroundings())?;
    let pins = bench.pins();
    let mut object = Object::load()?;
    [("XDP", Hook::Xdp), ("TC", Hook::Ingress)]
        .into_iter()
        .map(|(name, hook)| {
            let mut on = On {
                hook,
                runs,
                pins: &pins,
                bench: &mut bench,
                object: &mut object,
            };
            let rows = on.measure()?;
            let title = format!("One packet through the {name} program, VS/NAT, 64-byte frames");
            Ok(Group {
                title,
                unit: "ns",
                comparison: "median less the front program",
                rows,
            })
        })
        .collect()
}

fn surroundings() -> Surroundings {
    let interface = Interface {
        ifindex: LOOPBACK,
        xdp: true,
        mac: Some([0; 6]),
        address: None,
        address_v6: None,
        mtu: 1500,
    };
    let hop = Hop {
        state: HopState::Resolved,
        ifindex: LOOPBACK,
        mtu: 1500,
        vlan: 0,
        destination_mac: [2, 0, 0, 0, 0, 2],
        source_mac: [2, 0, 0, 0, 0, 1],
    };
    Surroundings {
        clients: interface,
        servers: interface,
        to_clients: hop,
        to_servers: hop,
    }
}

/// The measurements of one hook.
struct On<'a> {
    hook: Hook,
    runs: usize,
    pins: &'a Path,
    bench: &'a mut Bench,
    object: &'a mut Object,
}

impl On<'_> {
    fn measure(&mut self) -> Result<Vec<Row>, Error> {
        let empty = self.times(|on| {
            let ran = on.object.run_empty(on.hook, REPEAT)?;
            Ok(ran.duration.as_nanos() as f64)
        })?;
        let front = self.front()?;
        let harness = Row::of("", front.clone(), |median| median).median;
        let less = |median: f64| median - harness;
        let mut rows = vec![
            Row::of("empty program", empty, less),
            Row::of("front program, then the empty one", front, less),
        ];
        self.object.test(self.hook, Tested::Director(self.pins))?;
        for flows in [1, 1 << 10, 1 << 16, MILLION] {
            self.open(flows)?;
            let values = self.times(|on| on.run(Way::Known, flows, REPEAT))?;
            rows.push(Row::of(
                format!("known connection, {flows} flows"),
                values,
                less,
            ));
            if flows == 1 || flows == MILLION {
                let values = self.times(|on| on.run(Way::Reply, flows, REPEAT))?;
                rows.push(Row::of(format!("reply, {flows} flows"), values, less));
            }
        }
        let values = self.times(|on| {
            on.bench.forget_connections();
            on.run(Way::New, MILLION, MILLION)
        })?;
        rows.push(Row::of("new connection, 1 M in a row", values, less));
        for flows in [1, MILLION] {
            let values = self.times(|on| on.run(Way::NotOurs, flows, REPEAT))?;
            rows.push(Row::of(format!("not ours, {flows} sources"), values, less));
        }
        Ok(rows)
    }

    /// The price of the front program.
    fn front(&mut self) -> Result<Vec<f64>, Error> {
        self.object.test(self.hook, Tested::Empty)?;
        self.object.write(&Way::Known.pattern(MILLION))?;
        let expected = match self.hook {
            Hook::Xdp => XDP_DROP,
            Hook::Ingress => TC_SHOT,
        };
        self.times(|on| {
            let ran = on.object.run(on.hook, REPEAT)?;
            same_code("front program", expected, ran.return_value)?;
            Ok(ran.duration.as_nanos() as f64)
        })
    }

    /// Opens connections, forgetting others, and lets each see one more packet, which establishes
    /// it.
    fn open(&mut self, flows: u32) -> Result<(), Error> {
        self.bench.forget_connections();
        self.run(Way::New, flows, flows)?;
        self.run(Way::Known, flows, flows)?;
        Ok(())
    }

    /// Runs packets of one kind through the program and checks that they went the way they should.
    /// The mean in nanoseconds.
    fn run(&mut self, way: Way, flows: u32, repeat: u32) -> Result<f64, Error> {
        let case = || format!("{way:?}, {flows} flows, {:?}", self.hook);
        self.object.write(&way.pattern(flows))?;
        let count = |bench: &Bench| way.reason(self.hook).map(|reason| bench.counted(reason));
        let before = count(self.bench);
        let ran = self.object.run(self.hook, repeat)?;
        same_code(&case(), way.code(self.hook), ran.return_value)?;
        if let (Some(before), Some(after)) = (before, count(self.bench)) {
            let (expected, found) = (u64::from(repeat), after - before);
            if found != expected {
                return Err(Error::WentElsewhere {
                    case: case(),
                    expected,
                    found,
                });
            }
        }
        Ok(ran.duration.as_nanos() as f64)
    }

    /// As many values as there are runs.
    fn times(
        &mut self,
        mut value: impl FnMut(&mut Self) -> Result<f64, Error>,
    ) -> Result<Vec<f64>, Error> {
        (0..self.runs).map(|_| value(self)).collect()
    }
}

fn same_code(case: &str, expected: u32, found: u32) -> Result<(), Error> {
    if expected == found {
        return Ok(());
    }
    Err(Error::OtherCode {
        case: case.to_owned(),
        expected,
        found,
    })
}
