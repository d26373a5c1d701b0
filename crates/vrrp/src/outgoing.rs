//! Adverts as packets that leave.

use std::net::IpAddr;

use crate::advert::{Advert, Credential};
use crate::ah;
use crate::datagram::{Datagram, PROTOCOL_VRRP};
use crate::reception::{self, Memory};
use crate::settings::{Authentication, Settings};
use crate::time::Now;

/// From where to where, and how far.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Way {
    pub source: IpAddr,
    pub destination: IpAddr,
    pub hop_limit: u8,
}

/// What numbers the packets of a virtual router.
#[derive(Debug, Default)]
pub(crate) struct Outgoing {
    /// IPv4's Identification.
    identification: u16,
    /// The Authentication Header's Sequence Number.
    sequence: u32,
}

impl Outgoing {
    /// The next advert, with this priority.
    pub fn advert(
        &mut self,
        settings: &Settings,
        memory: &mut Memory,
        way: Way,
        priority: u8,
        now: Now,
    ) -> Datagram {
        let advert = Advert {
            version: settings.version,
            virtual_router: settings.virtual_router,
            priority,
            interval: settings.interval,
            addresses: settings.addresses.clone(),
            credential: match settings.authentication {
                Authentication::None => Credential::None,
                Authentication::Password(password) => Credential::Password(password),
                Authentication::AuthenticationHeader(_) => Credential::AuthenticationHeader,
            },
        };
        let ends = (way.source, way.destination);
        let mut message = advert.encode(ends.0, ends.1);
        if let Some(hmacs) = &settings.hmacs {
            let context = reception::context(settings, way.source);
            memory.stamps.sign(hmacs, context, &mut message, now);
        }
        self.identification = self.identification.checked_add(1).unwrap_or(1);
        match settings.authentication {
            Authentication::AuthenticationHeader(key) => {
                self.sequence = self.sequence.max(memory.sequence).wrapping_add(1);
                let header = (way.hop_limit, self.identification);
                ah::seal(&key, self.sequence, ends, header, &message)
            }
            _ => {
                let kind = (PROTOCOL_VRRP, self.identification);
                Datagram::to_send(ends, way.hop_limit, kind, &message)
            }
        }
    }
}
