//! What it costs the traffic that somebody traces all of it.

use crate::daemon::Daemon;
use crate::error::Error;
use crate::hosts::Hosts;
use crate::method::{Method, VIRTUAL};
use crate::report::{Group, Row};
use crate::tcp::{Server, gigabits};

/// What a stream must keep of its throughput.
const GOAL: f64 = 0.8;
/// More than the daemon needs here.
const CONNECTIONS: u32 = 1 << 16;
const CONFIGURED: u32 = 64;

/// Measures one TCP stream without and with `xvs trace`, in turns.
///
/// # Errors
/// When there is no `xvs` beside this program, the kernel or a tool refuses, or a trace says nothing.
pub fn measure(runs: usize) -> Result<Vec<Group>, Error> {
    let hosts = Hosts::new()?;
    hosts.stacks()?;
    let _server = Server::start()?;
    let daemon = Daemon::start(CONNECTIONS, CONFIGURED, CONFIGURED)?;
    daemon.ipvsadm(&["-R"], &Method::NAT.rules())?;
    let [mut off, mut on, mut asked, mut missing] = [const { Vec::new() }; 4];
    for _ in 0..runs {
        off.push(gigabits(VIRTUAL)?);
        let trace = daemon.trace()?;
        on.push(gigabits(VIRTUAL)?);
        let (unreported, of) = trace.end()?;
        asked.push(of);
        missing.push(unreported);
    }
    let none = |_| 0.0;
    Ok(vec![
        Group::new(
            "One TCP stream through xvs on TC, all processors, while it is traced",
            "Gbit/s",
            "by that without a trace, round by round",
            vec![
                Row::beside("traced by nobody", off.clone(), &off),
                Row::beside("xvs trace", on, &off).with_goal(GOAL),
            ],
        ),
        Group::new(
            "Packets of that stream",
            "packets",
            "nothing",
            vec![
                Row::of("asked for", asked, none),
                Row::of("not reported, and counted", missing, none),
            ],
        ),
    ])
}
