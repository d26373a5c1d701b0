//! Programs that sockets meet when they connect: for clients on the director itself.
//!
//! They are attached to the root of the control groups by links, which are pinned.

use std::io;
use std::os::fd::AsFd;

use crate::error::Error;
use crate::object::Programs;
use crate::pins::Pins;
use crate::sys::{self, SocketPlace};

const FOLDER: &str = "links";
/// The places, and the names of their links' pins. Links of interfaces have a dash in theirs.
const PLACES: [(SocketPlace, &str); 2] = [
    (SocketPlace::Connect4, "connect4"),
    (SocketPlace::Connect6, "connect6"),
];

/// Lets all sockets of this machine meet the programs, or these programs instead of others.
pub fn attach(pins: &Pins, programs: &Programs) -> Result<(), Error> {
    for (place, name) in PLACES {
        let program = programs.for_sockets(place);
        let program = program.ok_or_else(|| Error::Sockets(io::ErrorKind::Unsupported.into()))?;
        let path = pins.path(pin(name));
        let attached = match sys::open_pin(&path) {
            Ok(link) => sys::update_link(link.as_fd(), program),
            Err(_) => sys::create_socket_link(program, place)
                .and_then(|link| sys::pin(link.as_fd(), &path)),
        };
        attached.map_err(Error::Sockets)?;
    }
    Ok(())
}

/// As [`attach`], for places where programs are already.
pub fn renew(pins: &Pins, programs: &Programs) -> Result<(), Error> {
    let is_there = |(_, name): &(SocketPlace, &str)| pins.path(pin(name)).exists();
    match PLACES.iter().all(is_there) {
        true => attach(pins, programs),
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
