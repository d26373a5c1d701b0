//! `auth_hmac`: a trailer behind the advert that authenticates it and makes a repetition of it worth
//! nothing. The layout is that of keepalived's keyword of this name.
//!
//! ```text
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |   Scheme = 1  |    Key ID     |           Reserved            |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |                Seconds since 1970-01-01 UTC                   |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |     Second's fraction / 2^16  |            Counter            |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |          HMAC-SHA-256 (RFC 2104), its first 16 bytes          |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! ```
//!
//! The MAC covers a pseudo-header (family, version, virtual router, zero, the sender's address in 16
//! bytes), the advert, and the trailer with zeroes for the MAC. Seconds, fraction and counter are one
//! number, which grows with every packet of a sender; no state outlives the sender's process.

use std::net::IpAddr;
use std::time::Duration;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::advert::Version;
use crate::time::Now;

/// The trailer's bytes.
const LENGTH: usize = 28;
const SCHEME: u8 = 1;
const MAC_AT: usize = 12;
/// How many senders are remembered: more than one at a time there are only while masters change.
const SENDERS: usize = 8;

/// The settings of `auth_hmac`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hmacs {
    /// Keys by their number: all are accepted, so that a key can be changed on one router at a time.
    pub keys: Vec<Key>,
    /// The number of the key that adverts are sent with.
    pub active_key: u8,
    /// By how much a stamp may differ from the clock; None: stamps need only grow.
    pub window: Option<Duration>,
    /// Whether adverts without the trailer are refused; if not, all routers can be changed in turn.
    pub enforced: bool,
}

/// A key with its number.
#[derive(Clone, PartialEq, Eq)]
pub struct Key {
    /// What the trailer says of it.
    pub number: u8,
    /// The secret.
    pub secret: Vec<u8>,
}

impl std::fmt::Debug for Key {
    /// Without the secret, which has no business in a log.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Key").field("number", &self.number).finish()
    }
}

/// Why an advert's trailer is not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// There is none, or not of this form.
    #[error("it has no auth_hmac trailer")]
    Missing,
    /// It names a key that is not configured.
    #[error("its auth_hmac key {0} is not configured here")]
    UnknownKey(u8),
    /// The MAC is wrong.
    #[error("its auth_hmac is wrong")]
    Mac,
    /// Its stamp is outside the window.
    #[error("its auth_hmac stamp and this host's clock are {0:?} apart")]
    Stale(Duration),
    /// A packet with this stamp, or a later one, was seen before.
    #[error("it was seen before: somebody repeats adverts")]
    Repeated,
}

/// What is signed beside the advert.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Context {
    pub version: Version,
    pub virtual_router: u8,
    pub source: IpAddr,
}

/// The stamps given and seen.
#[derive(Debug, Default)]
pub(crate) struct Stamps {
    sent: u64,
    /// The last stamp of each sender; who was heard last comes last.
    seen: Vec<(IpAddr, u64)>,
}

impl Stamps {
    /// Appends the trailer to an advert.
    pub fn sign(&mut self, hmacs: &Hmacs, context: Context, message: &mut Vec<u8>, now: Now) {
        let Some(key) = hmacs.key(hmacs.active_key) else {
            return;
        };
        self.sent = stamp(now.utc).max(self.sent + 1);
        message.extend([SCHEME, hmacs.active_key, 0, 0]);
        message.extend(self.sent.to_be_bytes());
        let tag: [u8; 32] = keyed(key, context, message).finalize().into_bytes().into();
        message.extend(&tag[..LENGTH - MAC_AT]);
    }

    /// Checks what is behind an advert; `message` is the advert and what is behind it.
    pub fn verify(
        &mut self,
        hmacs: &Hmacs,
        context: Context,
        message: &[u8],
        trailer: &[u8],
        now: Now,
    ) -> Result<(), Refused> {
        if trailer.is_empty() && !hmacs.enforced {
            return Ok(());
        }
        let trailer: &[u8; LENGTH] = trailer.try_into().map_err(|_| Refused::Missing)?;
        if trailer[0] != SCHEME || [trailer[2], trailer[3]] != [0, 0] {
            return Err(Refused::Missing);
        }
        let sent = u64::from_be_bytes(*trailer[4..MAC_AT].first_chunk().ok_or(Refused::Missing)?);
        let apart = now.utc.abs_diff(Duration::from_secs(sent >> 32));
        if hmacs.window.is_some_and(|window| apart > window) {
            return Err(Refused::Stale(apart));
        }
        let key = hmacs
            .key(trailer[1])
            .ok_or(Refused::UnknownKey(trailer[1]))?;
        keyed(key, context, &message[..message.len() - (LENGTH - MAC_AT)])
            .verify_truncated_left(&trailer[MAC_AT..])
            .map_err(|_| Refused::Mac)?;
        self.grows(context.source, sent)
    }

    fn grows(&mut self, source: IpAddr, sent: u64) -> Result<(), Refused> {
        let known = self.seen.iter().position(|(sender, _)| *sender == source);
        match known {
            Some(at) if self.seen[at].1 >= sent => return Err(Refused::Repeated),
            Some(at) => drop(self.seen.remove(at)),
            None if self.seen.len() == SENDERS => drop(self.seen.remove(0)),
            None => {}
        }
        self.seen.push((source, sent));
        Ok(())
    }
}

impl Hmacs {
    fn key(&self, number: u8) -> Option<&Key> {
        self.keys.iter().find(|key| key.number == number)
    }
}

/// The clock as seconds (32 bits), their fraction (16 bits) and a counter of 0.
fn stamp(utc: Duration) -> u64 {
    let seconds = utc.as_secs() & u64::from(u32::MAX);
    let fraction = (u64::from(utc.subsec_nanos()) << 16) / 1_000_000_000;
    seconds << 32 | fraction << 16
}

/// The MAC over the pseudo-header, `message` (the advert and the trailer's fields) and the zeroes.
fn keyed(key: &Key, context: Context, message: &[u8]) -> Hmac<Sha256> {
    let mut pseudo = [0; 20];
    pseudo[1] = match context.version {
        Version::V2 => 2,
        Version::V3 => 3,
    };
    pseudo[2] = context.virtual_router;
    match context.source {
        IpAddr::V4(source) => {
            pseudo[0] = 4;
            pseudo[4..8].copy_from_slice(&source.octets());
        }
        IpAddr::V6(source) => {
            pseudo[0] = 6;
            pseudo[4..].copy_from_slice(&source.octets());
        }
    }
    let mut mac =
        Hmac::<Sha256>::new_from_slice(&key.secret).expect("HMAC takes keys of any length");
    mac.update(&pseudo);
    mac.update(message);
    mac.update(&[0; LENGTH - MAC_AT]);
    mac
}
