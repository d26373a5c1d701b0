//! One connection's way from host to host: each segment as it was seen at each wire, and who changed it.
//!
//! A segment is known again by its sequence numbers, flags and length, which no forwarding method changes.

use std::fmt::Write as _;
use std::net::SocketAddr;

use serde::Serialize;

use crate::capture::Sighting;
use crate::definition::Direction;
use crate::packet::Packet;
use crate::tcp::Tcp;
use crate::tunnel::Outer;

/// Of a long connection, so many segments are described in a line each at either end.
const LINES: usize = 12;

/// One TCP connection of a client, as captured.
#[derive(Debug, Clone, Serialize)]
pub struct Connection {
    /// The client's end, by which it is known.
    pub client: SocketAddr,
    /// What the client asked: where its first segment went.
    pub asked: SocketAddr,
    /// Its segments, in the order in which they were first seen.
    pub journeys: Vec<Journey>,
}

/// One segment's way.
#[derive(Debug, Clone, Serialize)]
pub struct Journey {
    /// The segment as first seen.
    pub segment: Tcp,
    /// Where it was seen, in order.
    pub sightings: Vec<Sighting>,
    /// How often the same segment was sent again.
    pub repeated: usize,
}

impl Connection {
    /// Picks the segments of a client's connection out of a capture. None if there are none.
    pub fn of(client: SocketAddr, capture: &[Sighting]) -> Option<Self> {
        let mut journeys: Vec<Journey> = Vec::new();
        for sighting in capture {
            let Some((tcp, to_client)) = part_of(client, &sighting.packet) else {
                continue;
            };
            let known = journeys
                .iter_mut()
                .find(|journey| journey.is_of(client, tcp, to_client));
            match known {
                Some(journey) => journey.add(sighting),
                None => journeys.push(Journey {
                    segment: *tcp,
                    sightings: vec![sighting.clone()],
                    repeated: 0,
                }),
            }
        }
        let asked = journeys.iter().find_map(|journey| {
            let (source, destination) = journey.sightings[0].packet.endpoints()?;
            (source == client).then_some(destination)
        })?;
        Some(Self {
            client,
            asked,
            journeys,
        })
    }

    /// The first `segments` of its segments, each at each wire, and the others in a line each.
    pub fn describe(&self, segments: usize) -> String {
        let mut text = String::new();
        for journey in self.journeys.iter().take(segments) {
            text.push_str(&journey.describe());
            if let Some(lost) = self.unknown_to_client(journey) {
                let _ = writeln!(text, "      {lost}");
            }
        }
        let others = self.journeys.get(segments..).unwrap_or_default();
        for (at, journey) in others.iter().enumerate() {
            if at < LINES || at + LINES >= others.len() {
                text.push_str(&journey.in_one_line());
            } else if at == LINES {
                let _ = writeln!(text, "    ... {} more", others.len() - 2 * LINES);
            }
        }
        text
    }

    /// What is wrong with a segment that reached the client from somebody the client did not ask.
    fn unknown_to_client(&self, journey: &Journey) -> Option<String> {
        let last = journey.sightings.last()?;
        let (source, destination) = last.packet.endpoints()?;
        let strange =
            last.direction == Direction::In && destination == self.client && source != self.asked;
        strange.then(|| {
            format!(
                "{} asked {}, and has no connection with {source}",
                last.host, self.asked
            )
        })
    }
}

/// The TCP header of a client's packet, and whether it goes to the client.
fn part_of(client: SocketAddr, packet: &Packet) -> Option<(&Tcp, bool)> {
    let tcp = packet.tcp()?;
    let (source, destination) = packet.endpoints()?;
    (source == client || destination == client).then_some((tcp, destination == client))
}

impl Journey {
    fn is_of(&self, client: SocketAddr, tcp: &Tcp, to_client: bool) -> bool {
        let own = (
            self.segment.sequence,
            self.segment.acknowledgement,
            self.segment.flags,
            self.segment.payload,
        );
        let same = own == (tcp.sequence, tcp.acknowledgement, tcp.flags, tcp.payload);
        same && part_of(client, &self.sightings[0].packet).is_some_and(|(_, own)| own == to_client)
    }

    /// Adds a sighting, unless it is the same wire again: then the segment was sent again.
    fn add(&mut self, sighting: &Sighting) {
        let place = |sighting: &Sighting| {
            (
                sighting.host.clone(),
                sighting.interface.clone(),
                sighting.direction,
            )
        };
        if place(&self.sightings[0]) == place(sighting) {
            self.repeated += 1;
        }
        if self.repeated == 0 {
            self.sightings.push(sighting.clone());
        }
    }

    /// Its flags, length and repetitions.
    fn name(&self) -> String {
        let repeated = match self.repeated {
            0 => String::new(),
            1 => ", sent once more".to_owned(),
            times => format!(", sent {times} times more"),
        };
        let payload = match self.segment.payload {
            0 => String::new(),
            bytes => format!(", {bytes} bytes"),
        };
        format!("{}{payload}{repeated}", self.segment.flags)
    }

    fn in_one_line(&self) -> String {
        let mut hosts: Vec<&str> = self
            .sightings
            .iter()
            .map(|sighting| &*sighting.host)
            .collect();
        hosts.dedup();
        format!("    {:<24}{}\n", self.name(), hosts.join(" → "))
    }

    fn describe(&self) -> String {
        let mut text = format!("    {}\n", self.name());
        let mut previous: Option<&Sighting> = None;
        for sighting in &self.sightings {
            let same_frame = previous.is_some_and(|previous| previous.packet == sighting.packet);
            let seen = if same_frame {
                "the same frame".to_owned()
            } else {
                frame(&sighting.packet)
            };
            let direction = if sighting.direction == Direction::In {
                "in"
            } else {
                "out"
            };
            let _ = writeln!(
                text,
                "      {:<9}{:<5}{direction:<4}{seen}",
                sighting.host, sighting.interface
            );
            if let Some(change) = previous.and_then(|previous| change(previous, sighting)) {
                let _ = writeln!(text, "               {} rewrote {change}", sighting.host);
            }
            previous = Some(sighting);
        }
        text
    }
}

fn frame(packet: &Packet) -> String {
    let Some(((source, destination), ip)) = packet.endpoints().zip(packet.ip) else {
        return packet.to_string();
    };
    let way = format!("{source} > {destination}");
    let mut text = format!(
        "{way:<42} ttl {:<3} {} > {}",
        ip.ttl, packet.source_mac, packet.destination_mac
    );
    if let Some(outer) = &packet.outer {
        let _ = write!(text, "  in {}", tunnel(outer));
    }
    text
}

/// A tunnel with its ends.
fn tunnel(outer: &Outer) -> String {
    let Outer { tunnel, ip } = outer;
    format!("{tunnel} {} > {}", ip.source, ip.destination)
}

/// What a host changed between taking a packet in and sending it out.
fn change(before: &Sighting, after: &Sighting) -> Option<String> {
    let passed = before.host == after.host
        && before.direction == Direction::In
        && after.direction == Direction::Out;
    passed.then(|| rewritten(&before.packet, &after.packet))
}

/// How a packet was rewritten, in words; `nothing` where it was not.
pub fn rewritten(old: &Packet, new: &Packet) -> String {
    let mut changes = Vec::new();
    match (&old.outer, &new.outer) {
        (None, Some(outer)) => {
            changes.push(format!("the frame: put the packet in {}", tunnel(outer)))
        }
        (Some(_), None) => changes.push("the frame: took the packet out of its tunnel".to_owned()),
        _ => {}
    }
    if let (Some((old_source, old_destination)), Some((new_source, new_destination))) =
        (old.endpoints(), new.endpoints())
    {
        for (name, old, new) in [
            ("source", old_source, new_source),
            ("destination", old_destination, new_destination),
        ] {
            if old != new {
                changes.push(format!("{name} {old} → {new}"));
            }
        }
    }
    if let (Some(old), Some(new)) = (old.ip, new.ip)
        && old.ttl != new.ttl
    {
        changes.push(format!("TTL {} → {}", old.ttl, new.ttl));
    }
    match (
        old.source_mac != new.source_mac,
        old.destination_mac != new.destination_mac,
    ) {
        (true, true) => changes.push("both MAC addresses".to_owned()),
        (true, false) => changes.push("the source MAC address".to_owned()),
        (false, true) => changes.push("the destination MAC address".to_owned()),
        (false, false) => {}
    }
    if changes.is_empty() {
        "nothing".to_owned()
    } else {
        changes.join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use etherparse::PacketBuilder;
    use std::time::Duration;

    const CLIENT: ([u8; 4], u16) = ([172, 16, 10, 22], 40001);
    const VIP: ([u8; 4], u16) = ([172, 16, 10, 21], 80);
    const RIP: ([u8; 4], u16) = ([192, 168, 100, 39], 80);

    fn sighting(host: &str, interface: &str, direction: Direction, frame: &[u8]) -> Sighting {
        Sighting {
            at: Duration::ZERO,
            host: host.into(),
            interface: interface.into(),
            direction,
            packet: Packet::parse(frame).unwrap(),
        }
    }

    fn syn(macs: [u8; 2], from: ([u8; 4], u16), to: ([u8; 4], u16), ttl: u8) -> Vec<u8> {
        let mac = |last| [2, 0, 0, 0, 0, last];
        let builder = PacketBuilder::ethernet2(mac(macs[0]), mac(macs[1])).ipv4(from.0, to.0, ttl);
        let mut frame = Vec::new();
        builder
            .tcp(from.1, to.1, 7, 64000)
            .syn()
            .write(&mut frame, &[])
            .unwrap();
        frame
    }

    fn client() -> SocketAddr {
        CLIENT.into()
    }

    #[test]
    fn a_segment_is_followed_through_the_director_and_its_changes_are_named() {
        let outside = syn([1, 2], CLIENT, VIP, 64);
        let inside = syn([3, 4], CLIENT, RIP, 63);
        let capture = [
            sighting("client", "eth0", Direction::Out, &outside),
            sighting("director", "eth0", Direction::In, &outside),
            sighting("director", "eth1", Direction::Out, &inside),
            sighting("rs1", "eth0", Direction::In, &inside),
        ];
        let connection = Connection::of(client(), &capture).unwrap();
        assert_eq!(connection.asked, SocketAddr::from(VIP));
        assert_eq!(connection.journeys.len(), 1);
        let text = connection.describe(9);
        assert!(
            text.contains("director rewrote destination 172.16.10.21:80 → 192.168.100.39:80, TTL 64 → 63, both MAC addresses"),
            "{text}"
        );
        assert_eq!(text.matches("the same frame").count(), 2, "{text}");
    }

    #[test]
    fn a_segment_sent_again_is_counted_and_not_followed_again() {
        let frame = syn([1, 2], CLIENT, VIP, 64);
        let capture = [
            sighting("client", "eth0", Direction::Out, &frame),
            sighting("director", "eth0", Direction::In, &frame),
            sighting("client", "eth0", Direction::Out, &frame),
            sighting("director", "eth0", Direction::In, &frame),
        ];
        let connection = Connection::of(client(), &capture).unwrap();
        assert_eq!(connection.journeys[0].repeated, 1);
        assert_eq!(connection.journeys[0].sightings.len(), 2);
    }

    #[test]
    fn another_connection_is_not_mixed_in() {
        let other = syn([1, 2], ([172, 16, 10, 22], 40002), VIP, 64);
        assert!(
            Connection::of(
                client(),
                &[sighting("client", "eth0", Direction::Out, &other)]
            )
            .is_none()
        );
    }
}
