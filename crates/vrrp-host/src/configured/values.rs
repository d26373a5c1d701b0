//! Single values of a keepalived.conf, as a plan has them.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use config::model as file;
use netlink_packet_route::address::AddressFlags;
use vrrp::neighbours::Mac;
use vrrp::{Announcements, Authentication, Burst, Hmacs, Key};

use crate::plan::VirtualAddress;

/// keepalived's least window for stamps of `auth_hmac`, which else is three intervals.
const LEAST_WINDOW: Duration = Duration::from_secs(5);

pub(super) fn virtual_address(address: &file::VirtualAddress) -> VirtualAddress {
    let usual = VirtualAddress::new(address.address, address.prefix);
    VirtualAddress {
        interface: address.interface.clone(),
        label: address.label.clone(),
        broadcast: address
            .broadcast
            .as_deref()
            .and_then(|word| broadcast(word, &usual)),
        scope: address.scope,
        preferred_lifetime: address
            .preferred_lifetime
            .unwrap_or(usual.preferred_lifetime),
        flags: flags(&address.flags, usual.flags),
        no_track: address.no_track,
        ..usual
    }
}

/// The words of `ip address add'.
fn flags(words: &[String], usual: AddressFlags) -> AddressFlags {
    let mut flags = usual;
    for word in words {
        match word.as_str() {
            "home" => flags |= AddressFlags::Homeaddress,
            "mngtmpaddr" => flags |= AddressFlags::Managetempaddr,
            "noprefixroute" => flags |= AddressFlags::Noprefixroute,
            "autojoin" => flags |= AddressFlags::Mcautojoin,
            "-nodad" => flags -= AddressFlags::Nodad,
            _ => {}
        }
    }
    flags
}

/// `brd`: an address, or `+` for the subnet's last one.
fn broadcast(word: &str, address: &VirtualAddress) -> Option<Ipv4Addr> {
    match (word, address.address) {
        ("+", IpAddr::V4(own)) => {
            let host_bits = u32::MAX.checked_shr(address.prefix.into()).unwrap_or(0);
            Some(Ipv4Addr::from_bits(own.to_bits() | host_bits))
        }
        (word, _) => word.parse().ok(),
    }
}

pub(super) fn authentication(authentication: &file::Authentication) -> Authentication {
    let key = |password: &str| {
        let mut key = [0; 8];
        key.iter_mut()
            .zip(password.bytes())
            .for_each(|(to, from)| *to = from);
        key
    };
    match authentication {
        file::Authentication::Pass { password } => Authentication::Password(key(password)),
        file::Authentication::Ah { password } => {
            Authentication::AuthenticationHeader(key(password))
        }
    }
}

pub(super) fn hmacs(hmacs: &file::Hmacs, interval: Duration) -> Hmacs {
    let keys = hmacs.keys.iter().map(|key| {
        let secret = key.secret.clone().into_bytes();
        Key {
            number: key.number,
            secret,
        }
    });
    Hmacs {
        keys: keys.collect(),
        active_key: hmacs.active_key,
        window: hmacs
            .anti_replay
            .then(|| hmacs.window.unwrap_or(LEAST_WINDOW.max(interval * 3))),
        enforced: !hmacs.permissive,
    }
}

pub(super) fn announcements(told: &file::Announcements) -> Announcements {
    let some = |time: Duration| Some(time).filter(|time| !time.is_zero());
    Announcements {
        takeover: Burst {
            rounds: told.repeat,
            again_after: some(told.delay),
        },
        contested: Burst {
            rounds: told.lower_prio_repeat,
            again_after: some(told.lower_prio_delay),
        },
        refresh: some(told.refresh),
        refresh_rounds: told.refresh_repeat,
        extra_refresh: some(told.extra_refresh),
    }
}

/// A MAC address of six bytes, or of five before the virtual router's number.
pub(super) fn mac_address(text: &str, virtual_router: u8) -> Option<Mac> {
    let bytes: Option<Vec<u8>> = text
        .split([':', '-'])
        .map(|byte| u8::from_str_radix(byte, 16).ok())
        .collect();
    let mut bytes = bytes?;
    if bytes.len() == 5 {
        bytes.push(virtual_router);
    }
    bytes.try_into().ok()
}
