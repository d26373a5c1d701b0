//! The programs on TC's ingress and egress as filters of the clsact qdisc: on kernels before 6.6, which have
//! no links for TC. A filter stays by itself when the daemon goes.
//!
//! Folders among the links say on which interfaces there is a filter of ours, and where the qdisc
//! is ours as well.

use std::io;
use std::os::fd::AsRawFd;

use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL, Parseable};
use netlink_packet_route::tc::{
    TcAttribute, TcBpfFlags, TcFilterBpfOption, TcHandle, TcHeader, TcMessage, TcOption,
};

use crate::error::Error;
use crate::netlink::Netlink;
use crate::pins::Pins;
use crate::programs::{Program, Programs};
use crate::sys::Place;

/// Our filter's handle, by which it is found again: "xvs".
const HANDLE: u32 = 0x0078_7673;
/// Where our filters are, and what they are called there.
const SIDES: [Side; 2] = [
    Side {
        parent: INGRESS,
        name: "xvs_ingress",
        place: Place::TcIngress,
    },
    Side {
        parent: EGRESS,
        name: "xvs_egress",
        place: Place::TcEgress,
    },
];

/// One of the qdisc's two sides.
#[derive(Debug, Clone, Copy)]
struct Side {
    parent: TcHandle,
    name: &'static str,
    place: Place,
}

const CLSACT: TcHandle = TcHandle {
    major: 0xffff,
    minor: 0,
};
const INGRESS: TcHandle = TcHandle {
    major: 0xffff,
    minor: TcHandle::MIN_INGRESS,
};
const EGRESS: TcHandle = TcHandle {
    major: 0xffff,
    minor: TcHandle::MIN_EGRESS,
};

const RTM_NEWQDISC: u16 = 36;
const RTM_DELQDISC: u16 = 37;
const RTM_NEWTFILTER: u16 = 44;
const RTM_DELTFILTER: u16 = 45;
const RTM_GETTFILTER: u16 = 46;

/// Attaches the programs to an interface, before the filters of others where that is possible, or
/// puts them in the places of those that we have there; no packet passes between the two.
pub fn attach(pins: &Pins, programs: &Programs, ifindex: u32) -> Result<(), Error> {
    let failed = crate::attach::refused(ifindex);
    let netlink = Netlink::open().map_err(failed)?;
    if add_qdisc(&netlink, ifindex).map_err(failed)? {
        pins.make_folder(qdisc_mark(ifindex))?;
    }
    pins.make_folder(filter_mark(ifindex))?;
    for side in SIDES {
        attach_to(&netlink, side, &programs.at(side.place), ifindex).map_err(failed)?;
    }
    Ok(())
}

fn attach_to(netlink: &Netlink, side: Side, program: &Program<'_>, ifindex: u32) -> io::Result<()> {
    let there = filters(netlink, ifindex, side.parent)?;
    match there.iter().find(|filter| filter.is_ours(side)) {
        Some(ours) if ours.program == Some(program.id) => Ok(()),
        Some(ours) => set(netlink, side, (ifindex, ours.priority), program, 0),
        None => {
            let is_free = |wanted: &u16| there.iter().all(|filter| filter.priority != *wanted);
            let priority = (1..u16::MAX).find(is_free).unwrap_or(u16::MAX);
            set(netlink, side, (ifindex, priority), program, NLM_F_EXCL)
        }
    }
}

/// The interfaces with a filter of ours.
pub fn interfaces(pins: &Pins) -> Vec<u32> {
    let marked = marked(pins);
    if marked.is_empty() {
        return marked;
    }
    let Ok(netlink) = Netlink::open() else {
        return Vec::new();
    };
    let has_ours = |&ifindex: &u32| {
        SIDES.into_iter().any(|side| {
            let filters = filters(&netlink, ifindex, side.parent).unwrap_or_default();
            filters.iter().any(|filter| filter.is_ours(side))
        })
    };
    marked.into_iter().filter(has_ours).collect()
}

/// Takes our filter off an interface, and the qdisc if it is ours and nothing else uses it.
pub fn detach(pins: &Pins, ifindex: u32) -> Result<(), Error> {
    if pins.path(filter_mark(ifindex)).exists() {
        // The interface may be gone, or somebody took the filter off: there is nothing to do then.
        let _gone = Netlink::open().and_then(|netlink| {
            let is_ours = pins.path(qdisc_mark(ifindex)).exists();
            take_off(&netlink, ifindex, is_ours)
        });
    }
    pins.remove(filter_mark(ifindex))?;
    pins.remove(qdisc_mark(ifindex))
}

/// Takes our filters off all interfaces.
pub fn detach_all(pins: &Pins) -> Result<(), Error> {
    let marked = marked(pins);
    marked
        .into_iter()
        .try_for_each(|ifindex| detach(pins, ifindex))
}

fn take_off(netlink: &Netlink, ifindex: u32, qdisc_is_ours: bool) -> io::Result<()> {
    for side in SIDES {
        let there = filters(netlink, ifindex, side.parent)?;
        for ours in there.iter().filter(|filter| filter.is_ours(side)) {
            let header = header(side, ifindex, ours.priority);
            let message = TcMessage::from_parts(header, Vec::new());
            netlink.change(RTM_DELTFILTER, 0, &message)?;
        }
    }
    let is_unused = |parent| filters(netlink, ifindex, parent).map(|filters| filters.is_empty());
    if qdisc_is_ours && is_unused(INGRESS)? && is_unused(EGRESS)? {
        netlink.change(RTM_DELQDISC, 0, &qdisc(ifindex))?;
    }
    Ok(())
}

/// The interfaces that are marked as having a filter of ours.
fn marked(pins: &Pins) -> Vec<u32> {
    let names = pins.names("links");
    let marks = names.iter().filter_map(|name| name.strip_prefix("filter-"));
    marks.filter_map(|ifindex| ifindex.parse().ok()).collect()
}

fn filter_mark(ifindex: u32) -> String {
    format!("links/filter-{ifindex}")
}

fn qdisc_mark(ifindex: u32) -> String {
    format!("links/clsact-{ifindex}")
}

/// Adds a clsact qdisc; whether there was none.
fn add_qdisc(netlink: &Netlink, ifindex: u32) -> io::Result<bool> {
    match netlink.change(RTM_NEWQDISC, NLM_F_CREATE | NLM_F_EXCL, &qdisc(ifindex)) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(error),
    }
}

fn qdisc(ifindex: u32) -> TcMessage {
    let header = TcHeader {
        index: ifindex as i32,
        handle: CLSACT,
        parent: TcHandle::CLSACT,
        ..TcHeader::default()
    };
    TcMessage::from_parts(header, vec![TcAttribute::Kind("clsact".to_owned())])
}

/// Adds our filter or, without `NLM_F_EXCL`, replaces it.
fn set(
    netlink: &Netlink,
    side: Side,
    (ifindex, priority): (u32, u16),
    program: &Program<'_>,
    flags: u16,
) -> io::Result<()> {
    let options = [
        TcFilterBpfOption::ProgFd(program.file.as_raw_fd() as u32),
        TcFilterBpfOption::ProgName(side.name.to_owned()),
        TcFilterBpfOption::Flags(TcBpfFlags::DirectAction),
    ];
    let attributes = vec![
        TcAttribute::Kind("bpf".to_owned()),
        TcAttribute::Options(options.into_iter().map(TcOption::Bpf).collect()),
    ];
    let message = TcMessage::from_parts(header(side, ifindex, priority), attributes);
    netlink.change(RTM_NEWTFILTER, NLM_F_CREATE | flags, &message)
}

/// The header of messages about our filter.
fn header(side: Side, ifindex: u32, priority: u16) -> TcHeader {
    let every_protocol = (libc::ETH_P_ALL as u16).to_be();
    TcHeader {
        index: ifindex as i32,
        handle: HANDLE.into(),
        parent: side.parent,
        info: u32::from(priority) << 16 | u32::from(every_protocol),
        ..TcHeader::default()
    }
}

/// Somebody's filter.
#[derive(Debug)]
struct Filter {
    handle: u32,
    priority: u16,
    /// Its BPF program's name and identifier, if it has one.
    name: Option<String>,
    program: Option<u32>,
}

impl Filter {
    fn is_ours(&self, side: Side) -> bool {
        self.handle == HANDLE && self.name.as_deref() == Some(side.name)
    }

    fn parse(answer: &[u8]) -> Option<Self> {
        let header = TcHeader::parse(answer).ok()?;
        let mut filter = Self {
            handle: header.handle.into(),
            priority: (header.info >> 16) as u16,
            name: None,
            program: None,
        };
        // Attributes of somebody's filter may be unknown here. Its priority counts all the same.
        let attributes = TcMessage::parse(answer).map(|message| message.attributes);
        for attribute in attributes.unwrap_or_default() {
            let TcAttribute::Options(options) = attribute else {
                continue;
            };
            for option in options {
                match option {
                    TcOption::Bpf(TcFilterBpfOption::ProgName(name)) => filter.name = Some(name),
                    TcOption::Bpf(TcFilterBpfOption::ProgId(id)) => filter.program = Some(id),
                    _ => {}
                }
            }
        }
        Some(filter)
    }
}

fn filters(netlink: &Netlink, ifindex: u32, parent: TcHandle) -> io::Result<Vec<Filter>> {
    let header = TcHeader {
        index: ifindex as i32,
        parent,
        ..TcHeader::default()
    };
    let answers = netlink.dump(RTM_GETTFILTER, &TcMessage::from_parts(header, Vec::new()))?;
    let filters = answers.iter().filter_map(|answer| Filter::parse(answer));
    Ok(filters.collect())
}
