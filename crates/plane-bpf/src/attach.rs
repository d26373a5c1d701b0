//! Attaching the programs to interfaces, so that they stay when the daemon goes.
//!
//! Where the kernel has links for a hook, the link is pinned. TC has them from Linux 6.6 on (tcx);
//! before, the program is a filter of the interface's clsact qdisc, which stays by itself.

use std::io;

use nix::net::if_::if_indextoname;

use crate::error::{Error, Refusal};
use crate::filter;
use crate::links::Link;
use crate::pins::Pins;
use crate::programs::{Program, Programs};
use crate::sockets;
use crate::sys::Place;

/// Where packets are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// XDP in the driver, and TC behind it.
    XdpNative,
    /// XDP in the kernel's generic receive path, and TC behind it.
    XdpGeneric,
    /// TC alone.
    Tc,
}

/// A program of ours on an interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Attachment {
    /// The interface.
    pub ifindex: u32,
    /// Where on it.
    pub point: Point,
}

/// A place on an interface that takes a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Point {
    /// XDP in the driver.
    XdpNative,
    /// XDP in the kernel's generic receive path.
    XdpGeneric,
    /// TC's ingress, by a link (Linux 6.6 and later).
    TcLink,
    /// TC's ingress, by a filter of the clsact qdisc.
    TcFilter,
}

/// How a program gets to TC's ingress.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TcMeans {
    /// By a link where the kernel has it, else by a filter.
    LinkIfPossible,
    /// By a filter, as on kernels before 6.6.
    Filter,
}

/// Attaches the programs that a mode needs, and detaches those that it does not. What is attached
/// already stays.
pub fn attach(
    pins: &Pins,
    programs: &Programs,
    ifindex: u32,
    mode: Mode,
    means: TcMeans,
) -> Result<(), Error> {
    // Whoever asks for an interface that is gone shall hear that, not what the kernel makes of it.
    name_of(ifindex)?;
    attach_tc(pins, programs, ifindex, means)?;
    let (wanted, others) = match mode {
        Mode::Tc => (None, &[Place::XdpNative, Place::XdpGeneric][..]),
        Mode::XdpNative => (Some(Place::XdpNative), &[Place::XdpGeneric][..]),
        Mode::XdpGeneric => (Some(Place::XdpGeneric), &[Place::XdpNative][..]),
    };
    for &other in others {
        remove_link(pins, ifindex, other)?;
    }
    let Some(place) = wanted else {
        return Ok(());
    };
    attach_link(pins, &programs.at(place), ifindex, place).map_err(|failure| match failure {
        Failure::Kernel(error) => Error::Attach {
            interface: shown(ifindex),
            refusal: Refusal::of_xdp(error),
        },
        Failure::Ours(error) => error,
    })
}

/// Takes all our programs off an interface.
pub fn detach(pins: &Pins, ifindex: u32) -> Result<(), Error> {
    for place in [
        Place::XdpNative,
        Place::XdpGeneric,
        Place::TcIngress,
        Place::TcEgress,
    ] {
        remove_link(pins, ifindex, place)?;
    }
    filter::detach(pins, ifindex)
}

/// Takes all our programs off all interfaces.
pub fn detach_all(pins: &Pins) -> Result<(), Error> {
    for link in Link::all(pins) {
        link.remove(pins)?;
    }
    sockets::detach(pins)?;
    filter::detach_all(pins)
}

/// Everything that is attached, sorted.
pub fn attached(pins: &Pins) -> Vec<Attachment> {
    let links = Link::all(pins).into_iter().filter(Link::is_attached);
    let links = links.filter_map(|link| {
        let point = match link.place {
            Place::XdpNative => Point::XdpNative,
            Place::XdpGeneric => Point::XdpGeneric,
            Place::TcIngress => Point::TcLink,
            // It goes with the one on ingress.
            Place::TcEgress => return None,
        };
        let ifindex = link.ifindex;
        Some(Attachment { ifindex, point })
    });
    let filters = filter::interfaces(pins)
        .into_iter()
        .map(|ifindex| Attachment {
            ifindex,
            point: Point::TcFilter,
        });
    let mut attached: Vec<Attachment> = links.chain(filters).collect();
    attached.sort_unstable();
    attached
}

/// Whether our XDP program is attached to an interface.
pub fn has_xdp(pins: &Pins, ifindex: u32) -> bool {
    let mut places = [Place::XdpNative, Place::XdpGeneric].into_iter();
    places.any(|place| Link::find(pins, ifindex, place).is_some_and(|link| link.is_attached()))
}

/// Lets everything that is attached run these programs, and forgets what has lost its interface.
/// No packet passes between an old program and its successor.
pub fn renew(pins: &Pins, programs: &Programs) -> Result<(), Error> {
    renew_interfaces(pins, programs)?;
    sockets::renew(pins)
}

/// As [`renew`], on interfaces only.
pub fn renew_interfaces(pins: &Pins, programs: &Programs) -> Result<(), Error> {
    for link in Link::all(pins) {
        let program = programs.at(link.place);
        if link.is_attached() {
            link.run(&program).map_err(refused(link.ifindex))?;
        } else {
            link.remove(pins)?;
        }
    }
    for ifindex in filter::interfaces(pins) {
        filter::attach(pins, programs, ifindex)?;
    }
    Ok(())
}

/// The error when the kernel refuses something on an interface.
pub fn refused(ifindex: u32) -> impl Fn(io::Error) -> Error + Copy {
    move |error| Error::Attach {
        interface: shown(ifindex),
        refusal: Refusal::Other(error),
    }
}

fn attach_tc(pins: &Pins, programs: &Programs, ifindex: u32, means: TcMeans) -> Result<(), Error> {
    for place in [Place::TcIngress, Place::TcEgress] {
        if means == TcMeans::Filter {
            remove_link(pins, ifindex, place)?;
            continue;
        }
        match attach_link(pins, &programs.at(place), ifindex, place) {
            // Kernels without tcx do not know what is asked for.
            Err(Failure::Kernel(error)) if error.kind() == io::ErrorKind::InvalidInput => {
                return filter::attach(pins, programs, ifindex);
            }
            Err(Failure::Kernel(error)) => return Err(refused(ifindex)(error)),
            Err(Failure::Ours(error)) => return Err(error),
            Ok(()) => {}
        }
    }
    match means {
        TcMeans::Filter => filter::attach(pins, programs, ifindex),
        TcMeans::LinkIfPossible => Ok(()),
    }
}

/// Why a link was not made: the kernel, or the pins.
enum Failure {
    Kernel(io::Error),
    Ours(Error),
}

fn attach_link(
    pins: &Pins,
    program: &Program<'_>,
    ifindex: u32,
    place: Place,
) -> Result<(), Failure> {
    match Link::find(pins, ifindex, place) {
        Some(link) if link.is_attached() => return link.run(program).map_err(Failure::Kernel),
        Some(link) => link.remove(pins).map_err(Failure::Ours)?,
        None => {}
    }
    Link::create(pins, program, ifindex, place).map_err(Failure::Kernel)
}

fn remove_link(pins: &Pins, ifindex: u32, place: Place) -> Result<(), Error> {
    Link::find(pins, ifindex, place).map_or(Ok(()), |link| link.remove(pins))
}

fn name_of(ifindex: u32) -> Result<String, Error> {
    let name = if_indextoname(ifindex).map_err(|_| Error::NoInterface(ifindex))?;
    match name.is_empty() {
        true => Err(Error::NoInterface(ifindex)),
        false => Ok(name.to_string_lossy().into_owned()),
    }
}

/// An interface's name, or its number where it has none any more.
fn shown(ifindex: u32) -> String {
    name_of(ifindex).unwrap_or_else(|_| ifindex.to_string())
}
