//! Nanoseconds per packet, by BPF_PROG_TEST_RUN.

use control::interfaces::Interface;
use control::nexthops::{Hop, HopState};
use model::Forwarding;
use plane_bpf::Hook;

use crate::case::{Case, MILLION, Way};
use crate::director::{Bench, CONNECTIONS, Surroundings};
use crate::error::Error;
use crate::method::Method;
use crate::object::{Object, Tested};
use crate::pattern::Clients;
use crate::report::{Group, Row, median};
use crate::selection::Selection;

/// Runs of a program that one value is the mean of.
const REPEAT: u32 = 1 << 20;
/// The loopback interface, on which BPF_PROG_TEST_RUN pretends to have received the frame.
const LOOPBACK: u32 = 1;

const XDP_DROP: u32 = 1;
const TC_SHOT: u32 = 2;

/// What a table as large costs a program that does nothing else, with the names of such programs: the
/// least that a director can take. With as much work beside as a director has, a processor cannot
/// wait for several packets' memory at once any more.
const LITTLE: [(&str, &str, u32); 8] = {
    const READ: &str = "one read of a table as large";
    const READ_AND_WORK: &str = "one read, and 600 instructions";
    const TAKEN: &str = "one place taken in a table as large";
    const TAKEN_AND_WORK: &str = "one place taken, and 1400 instructions";
    [
        (READ, "xvs_touch_xdp", 1),
        (READ, "xvs_touch_xdp", 1 << 16),
        (READ, "xvs_touch_xdp", MILLION),
        (READ_AND_WORK, "xvs_touch_and_work_xdp", 1),
        (READ_AND_WORK, "xvs_touch_and_work_xdp", MILLION),
        (TAKEN, "xvs_claim_xdp", MILLION),
        (TAKEN_AND_WORK, "xvs_claim_and_work_xdp", 1),
        (TAKEN_AND_WORK, "xvs_claim_and_work_xdp", MILLION),
    ]
};

/// Measures the cases that are wanted, on both hooks, each with a director for its method.
///
/// # Errors
/// When the kernel refuses, or packets went another way than the one that is measured.
pub fn measure(runs: usize, selection: &Selection) -> Result<Vec<Group>, Error> {
    let hooks = [Hook::Xdp, Hook::Ingress];
    let wanted = hooks.map(|hook| {
        let mut cases = Case::all(hook);
        cases.retain(|case| selection.wants(name(hook), &case.to_string()));
        cases
    });
    let mut rows = [Vec::new(), Vec::new()];
    if wanted.iter().all(Vec::is_empty) {
        return Ok(Vec::new());
    }
    let mut object = Object::load()?;
    for method in Method::ALL {
        let cases = wanted.each_ref().map(|cases| {
            let of_method = cases.iter().filter(|case| case.method == method);
            of_method.copied().collect::<Vec<_>>()
        });
        if cases.iter().all(Vec::is_empty) {
            continue;
        }
        let mut bench = Bench::new(surroundings(), method)?;
        for ((hook, cases), rows) in hooks.into_iter().zip(cases).zip(&mut rows) {
            let mut on = On {
                hook,
                runs,
                bench: &mut bench,
                object: &mut object,
            };
            rows.extend(on.measure(method, &cases)?);
        }
    }
    let groups = hooks
        .into_iter()
        .zip(rows)
        .filter(|(_, rows)| !rows.is_empty());
    Ok(groups.map(|(hook, rows)| group(hook, rows)).collect())
}

fn group(hook: Hook, rows: Vec<Row>) -> Group {
    let title = format!(
        "One packet through the {} program, the smallest frames",
        name(hook)
    );
    let (unit, comparison) = ("ns", "less the front program");
    Group::new(title, unit, comparison, rows)
}

const fn name(hook: Hook) -> &'static str {
    match hook {
        Hook::Xdp => "XDP",
        Hook::Ingress => "TC",
    }
}

/// A network of the loopback interface alone.
pub fn surroundings() -> Surroundings {
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

/// What runs of a case take in the XDP programs of two directors, which take turns, without the front
/// program: its price goes by what it writes.
///
/// # Errors
/// As [`measure`].
pub fn beside(
    runs: usize,
    object: &mut Object,
    mut sides: [(&mut Bench, Case); 2],
) -> Result<[Vec<f64>; 2], Error> {
    let hook = Hook::Xdp;
    let mut values = [Vec::new(), Vec::new()];
    for run in 0..runs {
        for ((bench, case), values) in sides.iter_mut().zip(&mut values) {
            let mut on = On {
                hook,
                runs: 1,
                bench,
                object,
            };
            if run == 0 {
                on.direct()?;
                on.prepare(*case)?;
            }
            values.push(on.net(*case)?);
        }
    }
    Ok(values)
}

/// The measurements of one hook.
struct On<'a> {
    hook: Hook,
    runs: usize,
    bench: &'a mut Bench,
    object: &'a mut Object,
}

impl On<'_> {
    /// The cases' rows, and before them what is subtracted from all.
    fn measure(&mut self, method: Method, cases: &[Case]) -> Result<Vec<Row>, Error> {
        if cases.is_empty() {
            return Ok(Vec::new());
        }
        let known = |flows| Case::known(method, flows);
        self.object.write(&known(1).pattern())?;
        let front = self.front(Tested::Empty)?;
        let harness = median(&front);
        let less = |median: f64| median - harness;
        // What the front program does beside, after a program that puts something in front.
        let mut taken_off = 0.0;
        let mut rows = Vec::new();
        if matches!(method, Method::NAT | Method::NAT_V6) {
            let family = Method::family(method.is_v6);
            rows.push(Row::of(
                format!("{family}: front program, then the empty one"),
                front,
                less,
            ));
        }
        if method == Method::NAT {
            let empty = self.times(|on| {
                let ran = on.object.run_empty(on.hook, REPEAT)?;
                Ok(ran.duration.as_nanos() as f64)
            })?;
            rows.insert(0, Row::of("empty program", empty, less));
        }
        if method == Method::NAT && self.hook == Hook::Xdp {
            for (what, program, flows) in LITTLE {
                self.object.write(&known(flows).pattern())?;
                let little = self.front(Tested::Little(program))?;
                rows.push(Row::of(format!("{what}, {flows} flows"), little, less));
            }
        }
        if method.forwarding == Forwarding::Tunnel && self.hook == Hook::Xdp {
            let grown = self.front(Tested::Grow)?;
            taken_off = less(median(&grown)) / 2.0;
            if method == Method::IPIP {
                rows.push(Row::of("20 bytes in front, and off again", grown, less));
            }
        }
        let less = |median: f64| less(median) - taken_off;
        self.direct()?;
        for &case in cases {
            let values = self.values(case)?;
            let goal = case.goal(self.hook);
            rows.push(Row::of(case.to_string(), values, less).with_goal(goal));
        }
        Ok(rows)
    }

    /// The price of the front program, and of what is tested behind it.
    fn front(&mut self, tested: Tested<'_>) -> Result<Vec<f64>, Error> {
        self.object.test(self.hook, tested)?;
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

    /// Puts the director behind the front program.
    fn direct(&mut self) -> Result<(), Error> {
        let pins = self.bench.pins();
        self.object.test(self.hook, Tested::Director(&pins))
    }

    fn values(&mut self, case: Case) -> Result<Vec<f64>, Error> {
        self.prepare(case)?;
        let values = self.times(|on| on.once(case))?;
        if case.way == Way::Full {
            self.bench.forget_connections();
        }
        Ok(values)
    }

    /// What a run takes without the front program, after the caches have met all flows.
    fn net(&mut self, case: Case) -> Result<f64, Error> {
        self.object.write(&case.pattern())?;
        let front = median(&self.front(Tested::Empty)?);
        self.direct()?;
        if case.way != Way::New {
            self.run(case, case.flows)?;
        }
        Ok(self.once(case)? - front)
    }

    /// Makes what a case needs to be there before.
    fn prepare(&mut self, case: Case) -> Result<(), Error> {
        match case.way {
            Way::Known | Way::Reply => self.open(case),
            Way::Full => self.fill(case),
            Way::New | Way::NotOurs => Ok(()),
        }
    }

    /// One run of a case.
    fn once(&mut self, case: Case) -> Result<f64, Error> {
        if case.way == Way::New {
            self.bench.forget_connections();
        }
        self.run(case, REPEAT)
    }

    /// Opens connections in the order of their numbers, by which their real servers are known,
    /// forgetting others, and lets each see one more packet, which establishes it.
    fn open(&mut self, case: Case) -> Result<(), Error> {
        self.bench.forget_connections();
        self.bench.begin_turns();
        let before = self.bench.packets_by_destination();
        for way in [Way::New, Way::Known] {
            let is_scattered = false;
            let case = Case {
                way,
                is_scattered,
                ..case
            };
            self.run(case, case.flows)?;
        }
        let after = self.bench.packets_by_destination();
        let met = before
            .iter()
            .zip(&after)
            .filter(|(before, after)| before < after);
        let (expected, found) = (case.destinations(), met.count() as u32);
        if found == expected {
            return Ok(());
        }
        Err(Error::OtherSpread {
            case: case.to_string(),
            expected,
            found,
        })
    }

    /// Opens four times as many connections as there are slots, so that as good as none is free,
    /// and then those that are measured, which take the last ones.
    fn fill(&mut self, case: Case) -> Result<(), Error> {
        self.bench.forget_connections();
        let mut pattern = case.pattern();
        pattern.clients = Clients::Usual;
        pattern.flows = CONNECTIONS * 4;
        self.object.write(&pattern)?;
        self.object.run(self.hook, pattern.flows)?;
        self.object.write(&case.pattern())?;
        self.object.run(self.hook, MILLION)?;
        Ok(())
    }

    /// Runs packets of a case through the program and checks that they went the way they should.
    /// The mean in nanoseconds.
    fn run(&mut self, case: Case, repeat: u32) -> Result<f64, Error> {
        let name = || format!("{} {case}", name(self.hook));
        self.object.write(&case.pattern())?;
        let before = self.bench.counted();
        let ran = self.object.run(self.hook, repeat)?;
        if let Some(reason) = case.reason(self.hook) {
            let after = self.bench.counted();
            let (expected, found) = (u64::from(repeat), after.since(&before, reason));
            if found > expected || found < case.way.least(expected) {
                return Err(Error::WentElsewhere {
                    case: name(),
                    expected,
                    found,
                    others: after.words_since(&before),
                });
            }
        }
        if case.way != Way::Full {
            same_code(&name(), case.way.code(self.hook), ran.return_value)?;
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
