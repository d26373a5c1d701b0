//! Connections as records of a fixed length, for listings of millions of them.
//!
//! ```text
//!  0                   1                   2                   3
//!  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//! +---------------+---------------+---------------+---------------+
//! |    family     |   protocol    | engine length |  data length  |
//! +---------------+---------------+---------------+---------------+
//! |                       expires (seconds)                       |
//! +-------------------------------+-------------------------------+
//! |         client's port         |        virtual port           |
//! +-------------------------------+-------------------------------+
//! |          server's port        |           0                   |
//! +-------------------------------+-------------------------------+
//! |             state's name, 16 bytes, filled with 0             |
//! +---------------------------------------------------------------+
//! |  addresses of client, service and server, 16 bytes each;      |
//! |  one of IPv4 fills the first four                             |
//! +---------------------------------------------------------------+
//! ```
//!
//! Family is 4 or 6, protocol the number in the IP header (0: any); other numbers are little-endian.
//! What a persistence engine found follows its record: the engine's name, then the data. Where
//! either is longer than a length can say, it is cut.

use std::borrow::Cow;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use model::{ConnectionEntry, ConnectionProtocol, EngineData};
use zerocopy::little_endian::{U16, U32};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// The content type of connections as records.
pub const CONTENT_TYPE: &str = "application/vnd.xvs.connections";

/// The part of a record whose length is fixed.
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct Record {
    family: u8,
    protocol: u8,
    engine_length: u8,
    data_length: u8,
    expires: U32,
    ports: [U16; 3],
    unused: U16,
    state: [u8; 16],
    addresses: [[u8; 16]; 3],
}

/// The names of states that are usual: none of them is copied for every connection.
const STATES: [&str; 14] = [
    "ESTABLISHED",
    "FIN_WAIT",
    "TIME_WAIT",
    "SYN_RECV",
    "CLOSE",
    "CLOSE_WAIT",
    "SYN_SENT",
    "LAST_ACK",
    "LISTEN",
    "SYNACK",
    "NONE",
    "UDP",
    "ASSURED",
    "ERR!",
];

/// Appends a connection's record.
pub(crate) fn write(into: &mut Vec<u8>, entry: &ConnectionEntry) {
    let found = entry.engine_data.as_ref();
    let [engine, data] = found.map_or([""; 2], |found| [&found.engine, &found.data]);
    let [engine, data] = [engine, data].map(|text| &text.as_bytes()[..text.len().min(255)]);
    let ends = [entry.client, entry.virtual_address, entry.destination];
    let mut state = [0; 16];
    let name = entry.state.as_bytes();
    let length = name.len().min(state.len());
    state[..length].copy_from_slice(&name[..length]);
    let record = Record {
        family: if entry.client.is_ipv4() { 4 } else { 6 },
        protocol: protocol_number(entry.protocol),
        engine_length: engine.len() as u8,
        data_length: data.len() as u8,
        expires: entry.expires.into(),
        ports: ends.map(|end| end.port().into()),
        unused: U16::ZERO,
        state,
        addresses: ends.map(|end| address_bytes(end.ip())),
    };
    into.extend_from_slice(record.as_bytes());
    into.extend_from_slice(engine);
    into.extend_from_slice(data);
}

/// The first connection in these bytes, and how many of them it takes; `None` where they end within
/// it.
pub(crate) fn read(bytes: &[u8]) -> Option<(ConnectionEntry, usize)> {
    let (record, after) = Record::ref_from_prefix(bytes).ok()?;
    let (engine, after) = after.split_at_checked(record.engine_length.into())?;
    let (data, after) = after.split_at_checked(record.data_length.into())?;
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    let engine_data = (!engine.is_empty()).then(|| EngineData {
        engine: text(engine).into(),
        data: text(data),
    });
    let [client, virtual_address, destination] = [0, 1, 2].map(|end| {
        let address = address(record.family, record.addresses[end]);
        SocketAddr::new(address, record.ports[end].get())
    });
    let entry = ConnectionEntry {
        protocol: protocol(record.protocol),
        expires: record.expires.get(),
        state: state(&record.state),
        client,
        virtual_address,
        destination,
        engine_data,
    };
    Some((entry, bytes.len() - after.len()))
}

const fn protocol_number(protocol: ConnectionProtocol) -> u8 {
    match protocol {
        ConnectionProtocol::Ip => 0,
        ConnectionProtocol::Tcp => 6,
        ConnectionProtocol::Udp => 17,
        ConnectionProtocol::Sctp => 132,
    }
}

const fn protocol(number: u8) -> ConnectionProtocol {
    match number {
        6 => ConnectionProtocol::Tcp,
        17 => ConnectionProtocol::Udp,
        132 => ConnectionProtocol::Sctp,
        _ => ConnectionProtocol::Ip,
    }
}

fn address_bytes(address: IpAddr) -> [u8; 16] {
    match address {
        IpAddr::V4(address) => {
            let [a, b, c, d] = address.octets();
            [a, b, c, d, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]
        }
        IpAddr::V6(address) => address.octets(),
    }
}

fn address(family: u8, bytes: [u8; 16]) -> IpAddr {
    let [a, b, c, d, ..] = bytes;
    match family {
        6 => Ipv6Addr::from(bytes).into(),
        _ => Ipv4Addr::new(a, b, c, d).into(),
    }
}

fn state(bytes: &[u8; 16]) -> Cow<'static, str> {
    let length = bytes.iter().position(|&byte| byte == 0).unwrap_or(16);
    let name = &bytes[..length];
    let usual = STATES.iter().find(|state| state.as_bytes() == name);
    usual.map_or_else(
        || String::from_utf8_lossy(name).into_owned().into(),
        |&state| state.into(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(client: &str, engine_data: Option<(&'static str, &str)>) -> ConnectionEntry {
        ConnectionEntry {
            protocol: ConnectionProtocol::Sctp,
            expires: 2_678_400,
            state: "ESTABLISHED".into(),
            client: client.parse().unwrap(),
            virtual_address: client.parse().unwrap(),
            destination: client.parse().unwrap(),
            engine_data: engine_data.map(|(engine, data)| EngineData {
                engine: engine.into(),
                data: data.to_owned(),
            }),
        }
    }

    #[test]
    fn records_of_both_families_with_and_without_data_follow_each_other() {
        let entries = [
            entry("192.0.2.1:65535", None),
            entry("[2001:db8::1]:1", Some(("sip", "7a@x"))),
            ConnectionEntry {
                state: "OF_ANOTHER_SORT".into(),
                ..entry("0.0.0.0:0", Some(("sip", "")))
            },
        ];
        let mut bytes = Vec::new();
        entries.iter().for_each(|entry| write(&mut bytes, entry));
        assert_eq!(bytes.len(), 3 * 80 + 7 + 3);
        let mut rest = bytes.as_slice();
        for expected in entries {
            let (found, length) = read(rest).unwrap();
            assert_eq!(found, expected);
            rest = &rest[length..];
        }
        assert!(rest.is_empty());
    }

    #[test]
    fn a_record_that_is_not_whole_is_waited_for() {
        let mut bytes = Vec::new();
        write(&mut bytes, &entry("192.0.2.1:80", Some(("sip", "7a@x"))));
        for length in 0..bytes.len() {
            assert!(read(&bytes[..length]).is_none(), "{length} bytes");
        }
    }

    #[test]
    fn data_that_is_too_long_is_cut() {
        let long = "x".repeat(300);
        let mut bytes = Vec::new();
        write(&mut bytes, &entry("192.0.2.1:80", Some(("sip", &long))));
        let (found, length) = read(&bytes).unwrap();
        assert_eq!(
            (found.engine_data.unwrap().data.len(), length),
            (255, 80 + 3 + 255)
        );
    }
}
