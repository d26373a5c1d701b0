//! Two hosts in simulated time: the rules of RFC 5880, section 6.8.

use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use bfd::{Arrival, Diagnostic, Event, Packet, Refusal, Sessions, Settings, State, Status};

const MILLISECOND: Duration = Duration::from_millis(1);
const LEFT: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
const RIGHT: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 2));

fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

/// One end, and what was seen of it.
struct End {
    address: IpAddr,
    sessions: Sessions,
    sent: Vec<(Duration, Packet)>,
    events: Vec<(Duration, Event)>,
    refused: Vec<Refusal>,
}

impl End {
    fn new(address: IpAddr) -> Self {
        Self {
            address,
            sessions: Sessions::default(),
            sent: Vec::new(),
            events: Vec::new(),
            refused: Vec::new(),
        }
    }

    fn status(&self, now: Duration) -> Status {
        self.sessions.status(now).remove(0)
    }

    fn last(&self) -> &Packet {
        &self.sent.last().expect("something was sent").1
    }

    /// The pauses between packets from this time on.
    fn pauses(&self, from: Duration) -> Vec<Duration> {
        let times: Vec<Duration> = self.sent.iter().map(|(at, _)| *at).collect();
        let later: Vec<Duration> = times.into_iter().filter(|at| *at >= from).collect();
        later.windows(2).map(|pair| pair[1] - pair[0]).collect()
    }
}

/// Two ends, and the link between them.
struct Pair {
    now: Duration,
    ends: [End; 2],
    /// Whether packets of each end arrive.
    carries: [bool; 2],
    hop_limit: u8,
}

fn settings(neighbor: IpAddr) -> Settings {
    Settings {
        min_rx: ms(50),
        min_tx: ms(50),
        multiplier: 3,
        ..Settings::new("peer", neighbor)
    }
}

impl Pair {
    fn new(left: Settings, right: Settings) -> Self {
        Self::over(left, right, [true; 2])
    }

    fn over(left: Settings, right: Settings, carries: [bool; 2]) -> Self {
        let mut pair = Self {
            now: Duration::ZERO,
            ends: [End::new(LEFT), End::new(RIGHT)],
            carries,
            hop_limit: 255,
        };
        pair.configure(0, left);
        pair.configure(1, right);
        pair
    }

    fn usual(carries: [bool; 2]) -> Self {
        Self::over(settings(RIGHT), settings(LEFT), carries)
    }

    fn up() -> Self {
        let mut pair = Self::usual([true; 2]);
        pair.run(ms(3000));
        assert_eq!(pair.states(), [State::Up; 2]);
        pair
    }

    fn configure(&mut self, end: usize, settings: Settings) {
        let now = self.now;
        self.ends[end]
            .sessions
            .configure(vec![settings], now, end as u64);
        self.drain();
    }

    fn states(&self) -> [State; 2] {
        [0, 1].map(|end| self.ends[end].status(self.now).state)
    }

    /// A millisecond at a time, so that the ends' clocks have that much of a resolution.
    fn run(&mut self, time: Duration) {
        let until = self.now + time;
        while self.now < until {
            self.now += MILLISECOND;
            for end in &mut self.ends {
                if end.sessions.poll_timeout().is_some_and(|at| at <= self.now) {
                    end.sessions.handle_timeout(self.now);
                }
            }
            self.drain();
        }
    }

    fn drain(&mut self) {
        let mut under_way: VecDeque<(usize, [u8; bfd::LENGTH])> = VecDeque::new();
        loop {
            for (index, end) in self.ends.iter_mut().enumerate() {
                while let Some(transmit) = end.sessions.poll_transmit() {
                    let packet = Packet::parse(&transmit.bytes).expect("ours are valid");
                    end.sent.push((self.now, packet));
                    under_way.push_back((index, transmit.bytes));
                }
                while let Some(event) = end.sessions.poll_event() {
                    end.events.push((self.now, event));
                }
            }
            let Some((from, bytes)) = under_way.pop_front() else {
                return;
            };
            if !self.carries[from] {
                continue;
            }
            let arrival = Arrival {
                source: self.ends[from].address,
                hop_limit: self.hop_limit,
                multihop: false,
            };
            let to = &mut self.ends[1 - from];
            let taken = to.sessions.handle_packet(arrival, &bytes, self.now);
            to.refused.extend(taken.err());
        }
    }
}

#[test]
fn two_ends_come_up_and_send_as_often_as_both_bear() {
    let slow = Settings {
        min_rx: ms(200),
        ..settings(LEFT)
    };
    let mut pair = Pair::new(settings(RIGHT), slow);
    pair.run(ms(5000));
    assert_eq!(pair.states(), [State::Up; 2]);
    let left = pair.ends[0].status(pair.now);
    let right = pair.ends[1].status(pair.now);
    // The greater of what one wants to send and the other bears.
    assert_eq!(left.transmit_interval, Some(ms(200)));
    assert_eq!(right.transmit_interval, Some(ms(50)));
    // Three times the greater of what one bears and the other wants to send.
    assert_eq!(left.detection_time, Some(ms(150)));
    assert_eq!(right.detection_time, Some(ms(600)));
    assert_eq!(pair.ends[0].events.len(), 1);
    assert!(pair.ends[0].events[0].1.is_up);
}

#[test]
fn packets_come_up_to_a_quarter_early_and_never_late() {
    let mut pair = Pair::up();
    let from = pair.now;
    pair.run(ms(5000));
    let pauses = pair.ends[0].pauses(from);
    let (least, most) = (
        pauses.iter().min().expect("packets"),
        pauses.iter().max().expect("packets"),
    );
    assert!(*least >= ms(37), "{least:?}");
    assert!(*most <= ms(51), "{most:?}");
    assert!(
        *most - *least >= ms(9),
        "{least:?} to {most:?} is no jitter"
    );
}

#[test]
fn where_one_lost_packet_is_too_many_they_come_at_least_a_tenth_early() {
    let strict = |neighbor| Settings {
        multiplier: 1,
        ..settings(neighbor)
    };
    let mut pair = Pair::new(strict(RIGHT), strict(LEFT));
    pair.run(ms(3000));
    let from = pair.now;
    pair.run(ms(5000));
    let pauses = pair.ends[0].pauses(from);
    assert!(pauses.iter().all(|pause| *pause <= ms(46)), "{pauses:?}");
    assert_eq!(pair.states(), [State::Up; 2]);
}

#[test]
fn before_a_session_is_up_a_packet_a_second_is_the_most() {
    let mut pair = Pair::usual([false; 2]);
    pair.run(ms(10_000));
    let pauses = pair.ends[0].pauses(Duration::ZERO);
    assert!((9..=14).contains(&pauses.len()), "{}", pauses.len());
    assert_eq!(pair.ends[0].last().desired_min_tx, 1_000_000);
    assert_eq!(pair.ends[0].last().your_discriminator, 0);
}

#[test]
fn a_neighbour_that_is_silent_for_the_detection_time_is_lost() {
    let mut pair = Pair::up();
    let from = pair.now;
    pair.carries[1] = false;
    pair.run(ms(1000));
    let (at, event) = pair.ends[0].events.last().expect("it was lost");
    assert_eq!(
        (event.is_up, event.diagnostic),
        (false, Diagnostic::EXPIRED)
    );
    let took = *at - from;
    assert!((ms(99)..=ms(152)).contains(&took), "{took:?}");
    // The other end hears that, though nobody hears it.
    let (_, event) = pair.ends[1].events.last().expect("it was told");
    assert_eq!(
        (event.is_up, event.diagnostic),
        (false, Diagnostic::SIGNALED)
    );
    pair.carries[1] = true;
    pair.run(ms(3000));
    assert_eq!(pair.states(), [State::Up; 2]);
    assert_eq!(pair.ends[0].status(pair.now).losses, 1);
}

#[test]
fn one_way_alone_is_not_up() {
    let mut pair = Pair::usual([false, true]);
    pair.run(ms(6000));
    assert_eq!(pair.states(), [State::Init, State::Down]);
    assert!(pair.ends.iter().all(|end| {
        let told: Vec<bool> = end.events.iter().map(|(_, event)| event.is_up).collect();
        told == [false]
    }));
}

#[test]
fn what_never_came_up_is_told_once_after_as_many_packets_as_may_be_missed() {
    let mut pair = Pair::usual([false; 2]);
    pair.run(ms(20_000));
    let [(at, event)] = &pair.ends[0].events[..] else {
        panic!("{:?}", pair.ends[0].events);
    };
    assert_eq!((*at, event.is_up), (ms(3000), false));
}

#[test]
fn a_passive_end_is_silent_until_it_is_spoken_to() {
    let passive = Settings {
        passive: true,
        ..settings(LEFT)
    };
    let mut pair = Pair::over(settings(RIGHT), passive, [false, true]);
    pair.run(ms(3000));
    assert_eq!(pair.ends[1].sent, []);
    pair.carries[0] = true;
    pair.run(ms(3000));
    assert_eq!(pair.states(), [State::Up; 2]);
}

#[test]
fn an_end_that_retires_says_so_and_the_other_goes_down_at_once() {
    let mut pair = Pair::up();
    let now = pair.now;
    pair.ends[0].sessions.retire(now);
    pair.drain();
    assert_eq!(pair.states(), [State::AdminDown, State::Down]);
    assert_eq!(pair.ends[0].last().diagnostic, Diagnostic::ADMINISTRATIVE);
    assert_eq!(pair.ends[1].last().diagnostic, Diagnostic::SIGNALED);
    let sent = pair.ends[0].sent.len();
    pair.run(ms(5000));
    assert_eq!(pair.ends[0].sent.len(), sent);
    assert_eq!(pair.ends[0].refused.last(), Some(&Refusal::OutOfUse));
}

#[test]
fn a_packet_that_has_passed_a_router_does_not_count() {
    let mut pair = Pair::usual([false; 2]);
    (pair.hop_limit, pair.carries) = (254, [true; 2]);
    pair.run(ms(3000));
    assert_eq!(pair.states(), [State::Down; 2]);
    assert_eq!(pair.ends[0].refused.last(), Some(&Refusal::Far(254, 255)));
    let near = |neighbor| Settings {
        max_hops: Some(1),
        ..settings(neighbor)
    };
    pair.configure(0, near(RIGHT));
    pair.configure(1, near(LEFT));
    pair.run(ms(3000));
    assert_eq!(pair.states(), [State::Up; 2]);
}

#[test]
fn other_intervals_are_polled_for_and_cost_no_session() {
    let mut pair = Pair::up();
    let from = pair.now;
    let slower = Settings {
        min_tx: ms(300),
        min_rx: ms(20),
        ..settings(RIGHT)
    };
    pair.carries[1] = false;
    pair.configure(0, slower);
    // Until the poll is answered packets come as often as before, and detection takes as long.
    pair.run(ms(60));
    assert!(pair.ends[0].last().poll);
    assert_eq!(pair.ends[0].last().desired_min_tx, 300_000);
    let status = pair.ends[0].status(pair.now);
    assert_eq!(status.transmit_interval, Some(ms(50)));
    assert_eq!(status.detection_time, Some(ms(150)));
    pair.carries[1] = true;
    pair.run(ms(500));
    assert!(!pair.ends[0].last().poll);
    assert_eq!(
        pair.ends[0].status(pair.now).transmit_interval,
        Some(ms(300))
    );
    assert_eq!(pair.ends[1].status(pair.now).detection_time, Some(ms(900)));
    let answered = pair.ends[1]
        .sent
        .iter()
        .any(|(at, packet)| *at >= from && packet.is_final && !packet.poll);
    assert!(answered);
    pair.run(ms(5000));
    assert_eq!(pair.ends[0].events.len(), 1, "it was up all the time");
}

#[test]
fn a_neighbour_that_wants_no_packets_gets_none_but_answers() {
    let mut pair = Pair::up();
    let now = pair.now;
    let quiet = Packet {
        poll: true,
        required_min_rx: 0,
        ..*pair.ends[1].last()
    };
    pair.carries = [false; 2];
    let arrival = Arrival {
        source: RIGHT,
        hop_limit: 255,
        multihop: false,
    };
    let before = pair.ends[0].sent.len();
    let taken = pair.ends[0]
        .sessions
        .handle_packet(arrival, &quiet.encode(), now);
    assert_eq!(taken, Ok(()));
    pair.run(ms(100));
    let sent = &pair.ends[0].sent[before..];
    assert_eq!(sent.len(), 1);
    assert!(sent[0].1.is_final);
}

#[test]
fn in_demand_mode_nothing_is_sent_by_itself_while_both_are_up() {
    let mut pair = Pair::up();
    let now = pair.now;
    let demand = Packet {
        demand: true,
        ..*pair.ends[1].last()
    };
    let arrival = Arrival {
        source: RIGHT,
        hop_limit: 255,
        multihop: false,
    };
    pair.carries = [false; 2];
    pair.ends[0]
        .sessions
        .handle_packet(arrival, &demand.encode(), now)
        .expect("it counts");
    assert_eq!(pair.ends[0].status(now).transmit_interval, None);
    pair.run(ms(120));
    assert!(pair.ends[0].sent.iter().all(|(at, _)| *at <= now));
}

#[test]
fn a_packet_of_nobody_is_refused() {
    let mut pair = Pair::up();
    let now = pair.now;
    let stranger = Arrival {
        source: Ipv4Addr::new(192, 0, 2, 99).into(),
        hop_limit: 255,
        multihop: false,
    };
    let mut packet = Packet {
        state: State::Down,
        your_discriminator: 0,
        ..*pair.ends[1].last()
    };
    let mut hear = |arrival, packet: &Packet| {
        pair.ends[0]
            .sessions
            .handle_packet(arrival, &packet.encode(), now)
    };
    assert_eq!(hear(stranger, &packet), Err(Refusal::UnknownNeighbour));
    packet.your_discriminator = 77;
    assert_eq!(hear(stranger, &packet), Err(Refusal::UnknownSession(77)));
    // The port of the other standard is of other sessions.
    let multihop = Arrival {
        source: RIGHT,
        multihop: true,
        ..stranger
    };
    packet.your_discriminator = 0;
    assert_eq!(hear(multihop, &packet), Err(Refusal::UnknownNeighbour));
}
