//! The Authentication Header with HMAC-MD5-96 (RFC 2402, RFC 2403), as VRRP version 2 had it in
//! RFC 2338.
//!
//! ```text
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! | Next Header   |  Payload Len  |          RESERVED             |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |                 Security Parameters Index (SPI)               |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |                    Sequence Number Field                      |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |                Integrity Check Value (12 bytes)               |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! ```
//!
//! keepalived departs from RFC 2402 where nothing can forward a packet: to a multicast group the
//! time to live is covered. It takes the sender's address for the SPI.
//!
//! Sequence numbers are told, so that keepalived, which refuses those below the highest it saw, goes
//! on listening; they are not demanded, since a router that restarts begins anew.

use std::net::IpAddr;

use hmac::{Hmac, KeyInit, Mac};
use md5::Md5;

use crate::datagram::{Datagram, PROTOCOL_AH, PROTOCOL_VRRP};

/// The header's bytes.
pub(crate) const LENGTH: usize = 24;
const ICV_AT: usize = 12;
const PAYLOAD_LENGTH: u8 = (LENGTH / 4 - 2) as u8;

/// Why a packet's Authentication Header is not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// There is none, or not of this form.
    #[error("it has no Authentication Header")]
    Missing,
    /// The integrity check value is wrong.
    #[error("its Authentication Header was made with another key")]
    Key,
}

/// A packet with `message` behind an Authentication Header.
pub(crate) fn seal(
    key: &[u8; 8],
    sequence: u32,
    (source, destination): (IpAddr, IpAddr),
    (hop_limit, identification): (u8, u16),
    message: &[u8],
) -> Datagram {
    let mut payload = vec![PROTOCOL_VRRP, PAYLOAD_LENGTH, 0, 0];
    match source {
        IpAddr::V4(source) => payload.extend(source.octets()),
        IpAddr::V6(_) => payload.extend([0; 4]),
    }
    payload.extend(sequence.to_be_bytes());
    payload.extend([0; LENGTH - ICV_AT]);
    payload.extend(message);
    let ends = (source, destination);
    let kind = (PROTOCOL_AH, identification);
    let unsigned = Datagram::to_send(ends, hop_limit, kind, &payload);
    payload[ICV_AT..LENGTH].copy_from_slice(&mac(key, &unsigned)[..LENGTH - ICV_AT]);
    Datagram::to_send(ends, hop_limit, kind, &payload)
}

/// The message behind a packet's Authentication Header, and the header's sequence number.
pub(crate) fn open<'a>(key: &[u8; 8], datagram: &'a Datagram) -> Result<(&'a [u8], u32), Refused> {
    let header: &[u8; LENGTH] = datagram.payload().first_chunk().ok_or(Refused::Missing)?;
    let form = [header[0], header[1]];
    if datagram.protocol() != PROTOCOL_AH || form != [PROTOCOL_VRRP, PAYLOAD_LENGTH] {
        return Err(Refused::Missing);
    }
    keyed(key, datagram)
        .verify_truncated_left(&header[ICV_AT..])
        .map_err(|_| Refused::Key)?;
    let sequence = u32::from_be_bytes([header[8], header[9], header[10], header[11]]);
    Ok((&datagram.payload()[LENGTH..], sequence))
}

fn mac(key: &[u8; 8], datagram: &Datagram) -> [u8; 16] {
    keyed(key, datagram).finalize().into_bytes().into()
}

/// The MAC over a packet without what changes on its way.
fn keyed(key: &[u8; 8], datagram: &Datagram) -> Hmac<Md5> {
    let mut header = datagram.header().to_vec();
    let mutable: &[usize] = match datagram.destination().is_multicast() {
        true => &[1, 6, 7, 10, 11],
        false => &[1, 6, 7, 8, 10, 11],
    };
    for &at in mutable {
        if let Some(byte) = header.get_mut(at) {
            *byte = 0;
        }
    }
    let payload = datagram.payload();
    let (before, after) = payload.split_at(ICV_AT.min(payload.len()));
    let mut mac = Hmac::<Md5>::new_from_slice(key).expect("HMAC takes keys of any length");
    mac.update(&header);
    mac.update(before);
    mac.update(&[0; LENGTH - ICV_AT]);
    mac.update(after.get(LENGTH - ICV_AT..).unwrap_or_default());
    mac
}
