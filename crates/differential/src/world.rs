//! xvs playing a case, on any data plane.

use std::net::{IpAddr, Ipv4Addr};

use abi::timeout_index;
use adm::{Invocation, Resolver};
use control::interfaces::Interface;
use control::{Director, Plane, Sizes, connections};
use forward::Action;
use model::{ConnectionEntry, Protocol, SettingRequest};
use plane_user::{Frame, Memory};

use crate::case::{Case, Packet, Step};
use crate::facts::Facts;
use crate::lan::{IFINDEX, Lan, OWN_MAC, VIRTUAL};
use crate::{frame, listing};

/// Settings that cases change, as the kernel has them.
const DEFAULTS: [(&str, u32); 5] = [
    ("conn_reuse_mode", 1),
    ("expire_nodest_conn", 0),
    ("expire_quiescent_template", 0),
    ("sloppy_tcp", 0),
    ("secure_tcp", 0),
];
/// Seconds: an established connection's.
const LONGEST_TIMEOUT: u32 = 900;

/// Connections that a world's table has room for: as few as a table can have.
pub fn sizes(processors: u32) -> Sizes {
    Sizes::chosen(Sizes::MIN_CONNECTIONS, 16, 256, processors).expect("sizes in their ranges")
}

/// Seconds after which the kernel shows what it has counted: it adds up every two (`ip_vs_est.c`).
pub const UNTIL_COUNTED: u32 = 3;

/// Gives a frame to a data plane; what is to be done with it, and its bytes then.
pub type Run<P> = fn(&P, &[u8]) -> (Action, Vec<u8>);

/// A director that plays cases.
pub struct World<P> {
    director: Director<P>,
    run: Run<P>,
    /// Whether time stopped too close to a connection's end to know whether the kernel's timer has gone off.
    pub is_doubtful: bool,
}

impl World<Memory> {
    /// On the heap, at the TC hook.
    pub fn native() -> Self {
        Self::new(heap(), sizes(1), |memory, frame| {
            let outcome = Frame::<true>::new(memory, IFINDEX, frame).process();
            (outcome.verdict.action(), outcome.bytes)
        })
    }

    /// On the heap, at the XDP hook, with the TC hook behind it.
    pub fn native_xdp() -> Self {
        Self::new(heap(), sizes(1), |memory, frame| {
            let outcome = Frame::<false>::new(memory, IFINDEX, frame).process();
            if outcome.verdict.action() != Action::Pass {
                return (outcome.verdict.action(), outcome.bytes);
            }
            let outcome = Frame::<true>::new(memory, IFINDEX, frame).process();
            (outcome.verdict.action(), outcome.bytes)
        })
    }
}

fn heap() -> Memory {
    let memory = Memory::new(&sizes(1), 42);
    memory.set_tick(1_000_000);
    memory
}

impl<P: Plane> World<P> {
    /// On a data plane of [`sizes`] whose tables are empty.
    pub fn new(plane: P, sizes: Sizes, run: Run<P>) -> Self {
        let mut director = Director::new(plane, sizes);
        director
            .follow(&Lan)
            .expect("the tables have room for a small network");
        let view = director.plane().view();
        let interface = Interface {
            ifindex: IFINDEX,
            xdp: true,
            mac: Some(OWN_MAC),
            address: Some(VIRTUAL[0]),
            address_v6: None,
            mtu: 1500,
        };
        control::interfaces::publish(&view, &[interface]);
        let world = Self {
            director,
            run,
            is_doubtful: false,
        };
        world.tell_of_icmp();
        world
    }

    /// Begins anew: without services and connections, with the kernel's settings.
    pub fn clear(&mut self) {
        self.ipvsadm("-C");
        self.ipvsadm("--set 900 120 300");
        for (name, value) in DEFAULTS {
            self.set(name, value);
        }
        // Templates last by their connections, a minute at a time.
        for _ in 0..3 {
            self.wait(LONGEST_TIMEOUT);
        }
        self.is_doubtful = false;
    }

    /// Plays a case; what is seen after each step.
    pub fn play(&mut self, case: &Case) -> Vec<Facts> {
        case.steps.iter().map(|step| self.step(step)).collect()
    }

    /// Plays a step.
    pub fn step(&mut self, step: &Step) -> Facts {
        let mut events = Vec::new();
        match step {
            Step::Ipvsadm(words) => events.extend(self.ipvsadm(words)),
            Step::Set(name, value) => events.extend(self.set(name, *value)),
            Step::Packet(packet) => events.extend(self.packet(packet)),
            Step::Wait(seconds) => self.wait(*seconds),
            Step::Count => {
                self.wait(UNTIL_COUNTED);
                events = listing::counted(&self.director);
            }
        }
        Facts {
            events,
            state: listing::state(&self.director),
        }
    }

    /// The director.
    pub fn director(&self) -> &Director<P> {
        &self.director
    }

    fn ipvsadm(&mut self, words: &str) -> Option<String> {
        let words: Vec<String> = words.split(' ').map(str::to_owned).collect();
        let is_done = match adm::parse(&words, &NoNames) {
            Ok(Invocation::Change(command)) => {
                let outcomes = self.director.apply(&[command], &Lan);
                outcomes.iter().all(Result::is_ok)
            }
            Ok(Invocation::SetTimeouts(change)) => {
                self.director.set_timeouts(change);
                true
            }
            Ok(Invocation::Zero(service)) => self.director.zero(service.as_ref()).is_ok(),
            _ => false,
        };
        (!is_done).then(|| "refused".to_owned())
    }

    fn set(&mut self, name: &str, value: u32) -> Option<String> {
        let request = SettingRequest {
            name: name.to_owned(),
            value: value.to_string(),
        };
        let is_done = self.director.set(&[request]).is_ok();
        self.tell_of_icmp();
        (!is_done).then(|| "refused".to_owned())
    }

    /// The machine's kernel sends as many ICMP errors as there are reasons for.
    fn tell_of_icmp(&self) {
        const UNLIMITED: u32 = 1 << 30;
        let globals = self.director.plane().view().globals;
        globals.icmp_burst.store(UNLIMITED);
        globals.icmp_per_second.store(UNLIMITED);
    }

    fn packet(&self, packet: &Packet) -> Option<String> {
        let sent = frame::build(packet, OWN_MAC);
        match (self.run)(self.director.plane(), &sent) {
            (Action::Drop, _) => None,
            (Action::Send, frame) => frame::describe(&frame, OWN_MAC),
            (_, _) => Some("up".to_owned()),
        }
    }

    /// Lets time pass, with the sweeps that a daemon does meanwhile.
    fn wait(&mut self, seconds: u32) {
        self.is_doubtful |= !self.is_clear(seconds);
        let sweeps = seconds.clamp(1, 64);
        for sweep in 0..sweeps {
            let ticks_at = |sweep: u32| seconds * self.ticks_per_second() / sweeps * sweep;
            let view = self.director.plane().view();
            let end = if sweep + 1 == sweeps {
                seconds * self.ticks_per_second()
            } else {
                ticks_at(sweep + 1)
            };
            let offset = &view.globals.clock_offset;
            offset.store(offset.load().wrapping_add(end - ticks_at(sweep)));
            self.director.sweep(u32::MAX, &Lan);
        }
    }

    fn ticks_per_second(&self) -> u32 {
        self.director.plane().view().globals.ticks_per_second.load()
    }

    /// Whether after so many seconds there is no doubt which connections the kernel has forgotten: its timers go off
    /// late, the later the longer they run.
    pub fn is_clear(&self, seconds: u32) -> bool {
        let plane = self.director.plane();
        let all = connections::list(plane, 0, connections::buckets(plane)).unwrap_or_default();
        all.iter().all(|entry| {
            let longest = self.timeout(entry).max(entry.expires);
            let first = entry.expires.saturating_sub(3);
            let is_template = entry.client.port() == 0;
            // Persistence lasts a few minutes in the cases.
            let late = lateness(longest).max(if is_template { 17 } else { 0 });
            let last = entry.expires + late + 3;
            // While connections go by it, a template is put off by a minute again and again.
            let again = seconds.saturating_sub(entry.expires) / 60;
            let is_at_end = (first..=last).contains(&seconds);
            let is_at_later = is_template
                && (1..=again + 1).any(|times| {
                    let at = entry.expires + 60 * times;
                    (at.saturating_sub(3)..=at + late + 3 * times + 3).contains(&seconds)
                });
            !is_at_end && !is_at_later
        }) && !ties(&all, seconds)
    }

    /// Seconds of the timer that a connection's last packet started.
    fn timeout(&self, entry: &ConnectionEntry) -> u32 {
        if entry.client.port() == 0 {
            return 0;
        }
        let protocol = match entry.protocol {
            model::ConnectionProtocol::Udp => Protocol::Udp,
            _ => Protocol::Tcp,
        };
        let name = |state| connections::state_name(entry.protocol, state);
        let state = (0..=10).find(|state| name(*state) == entry.state);
        let view = self.director.plane().view();
        let index = timeout_index(protocol.number(), state.unwrap_or(0));
        view.globals.timeouts.0[index].load() / self.ticks_per_second()
    }
}

/// Whether within so many seconds a template and a connection that may go by it end together: the one whose timer goes
/// off first decides whether the template is put off by a minute.
fn ties(all: &[ConnectionEntry], seconds: u32) -> bool {
    let (templates, connections): (Vec<_>, Vec<_>) =
        all.iter().partition(|entry| entry.client.port() == 0);
    let ends = templates.iter().flat_map(|template| {
        let ends = (template.expires..=seconds).step_by(60);
        ends.map(move |at| (template, at))
    });
    ends.into_iter().any(|(template, at)| {
        connections.iter().any(|other| {
            let last = at + lateness(at) + 3;
            let meets = other.expires <= last && other.expires + lateness(other.expires) + 3 >= at;
            meets && other.destination.ip() == template.destination.ip()
        })
    })
}

/// Seconds by which a kernel's timer (250 ticks a second) may go off late (`kernel/time/timer.c`: a timer lies in a
/// wheel whose steps get eight times as long from level to level).
fn lateness(seconds: u32) -> u32 {
    match seconds * 250 {
        0..4096 => 1,
        4096..32768 => 3,
        32768..262_144 => 17,
        _ => 132,
    }
}

/// The cases name no hosts.
struct NoNames;

impl Resolver for NoNames {
    fn host_address(&self, name: &str) -> Option<Ipv4Addr> {
        name.parse().ok()
    }

    fn host_name(&self, _address: IpAddr) -> Option<String> {
        None
    }

    fn service_port(&self, _name: &str, _protocol: Protocol) -> Option<u16> {
        None
    }

    fn service_name(&self, _port: u16, _protocol: Protocol) -> Option<String> {
        None
    }
}
