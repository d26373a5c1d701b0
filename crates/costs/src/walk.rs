//! A packet's way through the forwarding function, as the kernel runs it: one stage after another. Each hook's is
//! compiled once, since all stages together take their time.

use abi::{Stage, TraceHook, TraceProcessor};
use control::Plane as _;
use forward::trace::{self, Fate};
use forward::{Action, Verdict};
use plane_user::Frame;

use crate::site::IFINDEX;

/// What is counted of a packet: everything that happens while this runs, and nothing else.
#[inline(never)]
pub fn counted(process: impl FnOnce() -> Verdict) -> Verdict {
    process()
}

/// All of its way.
pub fn process<const COMPLETE: bool>(frame: &mut Frame<'_, COMPLETE>) -> Verdict {
    walk(frame, |_| ())
}

/// The same, while somebody traces.
pub fn traced<const COMPLETE: bool>(frame: &mut Frame<'_, COMPLETE>) -> Verdict {
    let memory = frame.memory;
    let processor = TraceProcessor::default();
    let hook = if COMPLETE {
        TraceHook::Ingress
    } else {
        TraceHook::Xdp
    };
    trace::begin(frame, &processor, (hook, 0));
    let verdict = walk(frame, |stage| trace::pass(&processor, stage));
    trace::leave(&processor, Fate::of(verdict, IFINDEX), 0);
    trace::end(frame, &processor);
    trace::conclude(memory, &processor, memory.now());
    verdict
}

fn walk<const COMPLETE: bool>(frame: &mut Frame<'_, COMPLETE>, before: impl Fn(Stage)) -> Verdict {
    let mut stage = Stage::Enter;
    loop {
        before(stage);
        let verdict = step(frame, stage);
        if verdict.action() != Action::GoOn {
            return verdict;
        }
        stage = Stage::ALL[verdict.next() as usize];
    }
}

#[inline(never)]
fn step<const COMPLETE: bool>(frame: &mut Frame<'_, COMPLETE>, stage: Stage) -> Verdict {
    forward::run(frame, stage)
}
