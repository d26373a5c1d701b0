//! Programs that sockets meet when they connect: for clients on the director itself.
//!
//! They are attached to the root of the control groups by links, which are pinned.

use std::io;
use std::os::fd::AsFd;

use crate::error::Error;
use crate::pins::Pins;
use crate::programs;
use crate::sys::{self, SocketPlace};

const FOLDER: &str = "links";
/// The places, and the names of their links' pins. Links of interfaces have a dash in theirs.
const PLACES: [(SocketPlace, &str); 2] = [
    (SocketPlace::Connect4, "connect4"),
    (SocketPlace::Connect6, "connect6"),
];

/// Lets all sockets of this machine meet the programs that are there, in the places of those that
/// they meet.
pub fn attach(pins: &Pins) -> Result<(), Error> {
    let there = PLACES.map(|(place, name)| (place, name, programs::for_sockets(pins, place)));
    if there.iter().all(|(_, _, program)| program.is_none()) {
        return Err(Error::Sockets(io::ErrorKind::Unsupported.into()));
    }
    for (place, name, program) in &there {
        let Some(program) = program else {
            continue;
        };
        let program = program.fd().expect("a program from a pin is an open file");
        let program = program.as_fd();
        let path = pins.path(pin(name));
        let attached = match sys::open_pin(&path) {
            Ok(link) => sys::update_link(link.as_fd(), program),
            Err(_) => sys::create_socket_link(program, *place)
                .and_then(|link| sys::pin(link.as_fd(), &path)),
        };
        attached.map_err(Error::Sockets)?;
    }
    Ok(())
}

/// As [`attach`], where sockets meet programs already.
pub fn renew(pins: &Pins) -> Result<(), Error> {
    let is_there = |(_, name): &(SocketPlace, &str)| pins.path(pin(name)).exists();
    match PLACES.iter().any(is_there) {
        true => attach(pins),
        false => Ok(()),
    }
}

/// Leaves all sockets.
pub fn detach(pins: &Pins) -> Result<(), Error> {
    for (_, name) in PLACES {
        if let Ok(link) = sys::open_pin(&pins.path(pin(name))) {
            // The pin goes in any case, and with it the link, a little later.
            let _refused = sys::detach_link(link.as_fd());
            pins.remove(pin(name))?;
        }
    }
    Ok(())
}

fn pin(name: &str) -> String {
    format!("{FOLDER}/{name}")
}
