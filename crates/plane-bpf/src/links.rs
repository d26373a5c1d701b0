//! Programs on interfaces by links: the link is pinned, and so the attachment outlives us.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use crate::error::Error;
use crate::pins::Pins;
use crate::programs::Program;
use crate::sys::{self, LinkInfo, Place};

const FOLDER: &str = "links";
const PLACES: [Place; 4] = [
    Place::TcIngress,
    Place::TcEgress,
    Place::XdpNative,
    Place::XdpGeneric,
];

/// A pinned link.
#[derive(Debug)]
pub struct Link {
    /// Where its program is attached.
    pub place: Place,
    /// The interface that it was made for.
    pub ifindex: u32,
    file: OwnedFd,
    info: LinkInfo,
}

impl Link {
    /// The link of an interface, if there is one.
    pub fn find(pins: &Pins, ifindex: u32, place: Place) -> Option<Self> {
        let file = sys::open_pin(&pins.path(name(place, ifindex))).ok()?;
        let info = sys::link_info(file.as_fd()).ok()?;
        Some(Self {
            place,
            ifindex,
            file,
            info,
        })
    }

    /// All links that are pinned.
    pub fn all(pins: &Pins) -> Vec<Self> {
        let names = pins.names(FOLDER);
        let links = names.iter().filter_map(|name| {
            let (place, ifindex) = name.rsplit_once('-')?;
            let place = PLACES.into_iter().find(|known| word(*known) == place)?;
            Self::find(pins, ifindex.parse().ok()?, place)
        });
        links.collect()
    }

    /// Attaches a program to an interface.
    pub fn create(
        pins: &Pins,
        program: &Program<'_>,
        ifindex: u32,
        place: Place,
    ) -> io::Result<()> {
        let link = sys::create_link(program.file, ifindex, place)?;
        sys::pin(link.as_fd(), &pins.path(name(place, ifindex)))
    }

    /// Whether its interface is still there. Another interface may have its index by now.
    pub fn is_attached(&self) -> bool {
        self.info.ifindex == self.ifindex
    }

    /// Lets it run this program from now on, if it runs another one.
    pub fn run(&self, program: &Program<'_>) -> io::Result<()> {
        if self.info.program == program.id {
            return Ok(());
        }
        sys::update_link(self.file.as_fd(), program.file)
    }

    /// Ends it, at once.
    pub fn remove(self, pins: &Pins) -> Result<(), Error> {
        // Without this the kernel detaches some time after the last reference is gone. It refuses
        // where the interface is gone, and there is nothing to do then.
        let _gone = sys::detach_link(self.file.as_fd());
        pins.remove(name(self.place, self.ifindex))
    }
}

fn name(place: Place, ifindex: u32) -> String {
    format!("{FOLDER}/{}-{ifindex}", word(place))
}

const fn word(place: Place) -> &'static str {
    match place {
        Place::TcIngress => "tc",
        Place::TcEgress => "tc-egress",
        Place::XdpNative => "xdp",
        Place::XdpGeneric => "xdp-generic",
    }
}
