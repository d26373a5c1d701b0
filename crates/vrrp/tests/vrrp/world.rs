//! One router and its clock.

use std::net::IpAddr;
use std::time::Duration;

use vrrp::{Datagram, Input, Link, Now, Output, Router, Settings, State};

/// The interface of all settings here.
pub const INTERFACE: &str = "eth0";

pub fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}

pub fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

/// A moment on both clocks.
pub fn at(uptime: Duration) -> Now {
    const BOOT: Duration = Duration::from_secs(1_800_000_000);
    let utc = BOOT + uptime;
    Now { uptime, utc }
}

/// An instance of number 51 with one address.
pub fn settings(priority: u8) -> Settings {
    let addresses = vec![address("192.0.2.100")];
    Settings {
        priority,
        ..Settings::new("VI_1", INTERFACE, 51, addresses)
    }
}

/// A router with the time that it was last told.
pub struct Bench {
    pub router: Router,
    pub now: Duration,
}

impl Bench {
    /// A started router whose instances send from this address.
    pub fn start(settings: Vec<Settings>, groups: Vec<vrrp::Group>, source: &str) -> Self {
        let names: Vec<String> = settings
            .iter()
            .map(|settings| settings.name.clone())
            .collect();
        let router = Router::new(settings, groups).unwrap();
        let mut bench = Self {
            router,
            now: Duration::ZERO,
        };
        for instance in names {
            bench.tell(Input::Link {
                instance: &instance,
                link: Link::Ready(address(source)),
            });
        }
        bench.tell(Input::Start);
        bench
    }

    pub fn alone(settings: Settings) -> Self {
        Self::start(vec![settings], vec![], "192.0.2.1")
    }

    pub fn tell(&mut self, input: Input<'_>) -> Vec<Output> {
        self.router.handle(input, at(self.now));
        std::iter::from_fn(|| self.router.poll()).collect()
    }

    pub fn hear(&mut self, datagram: &Datagram) -> Vec<Output> {
        self.tell(Input::Received {
            interface: INTERFACE,
            datagram,
        })
    }

    /// Lets time pass, with every timeout on the way.
    pub fn pass(&mut self, time: Duration) -> Vec<Output> {
        let until = self.now + time;
        let mut outputs = Vec::new();
        while let Some(due) = self.router.next_timeout().filter(|due| *due <= until) {
            self.now = self.now.max(due);
            outputs.extend(self.tell(Input::Timeout));
        }
        self.now = until;
        outputs
    }

    pub fn state(&self) -> State {
        self.states()[0]
    }

    pub fn states(&self) -> Vec<State> {
        let status = self.router.status(at(self.now));
        status.into_iter().map(|status| status.state).collect()
    }

    pub fn status(&self) -> vrrp::Status {
        self.router.status(at(self.now)).remove(0)
    }
}

/// The adverts among outputs.
pub fn sent(outputs: &[Output]) -> Vec<Datagram> {
    let adverts = outputs.iter().filter_map(|output| match output {
        Output::Send { datagram, .. } => Some(datagram.clone()),
        _ => None,
    });
    adverts.collect()
}

/// The priorities of the adverts among outputs.
pub fn priorities(outputs: &[Output]) -> Vec<u8> {
    sent(outputs).iter().map(priority).collect()
}

/// The priority that an advert tells.
pub fn priority(datagram: &Datagram) -> u8 {
    let header = if datagram.source().is_ipv4() { 20 } else { 0 };
    datagram.bytes()[header + 2]
}

/// An advert that another router with these settings, at this address, would send.
pub fn advert(settings: Settings, source: &str) -> Datagram {
    let mut other = Bench::start(vec![settings], vec![], source);
    let outputs = other.pass(Duration::from_secs(200));
    sent(&outputs).remove(0)
}

/// The last word of a router that ceases to be master.
pub fn resignation(settings: Settings, source: &str) -> Datagram {
    let mut other = Bench::start(vec![settings], vec![], source);
    other.pass(Duration::from_secs(200));
    sent(&other.tell(Input::Stop)).remove(0)
}
