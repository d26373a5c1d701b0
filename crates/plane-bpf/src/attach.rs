//! Attaching the programs to interfaces, so that they stay when the daemon goes.
//!
//! Where the kernel has links for a hook, the link is pinned. TC has them from Linux 6.6 on (tcx);
//! before, the program is a filter of the interface's clsact qdisc, which stays by itself.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use aya::programs::links::{FdLink, LinkError, PinnedLink};
use aya::programs::tc::{self, NlOptions, SchedClassifierLink, TcAttachOptions, TcError};
use aya::programs::{LinkOrder, ProgramError, SchedClassifier, TcAttachType, Xdp, XdpMode};
use nix::net::if_::{if_indextoname, if_nameindex};

use crate::error::Error;
use crate::object::Programs;

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

/// The name that a TC program has in the kernel.
const INGRESS: &str = "xvs_ingress";
/// Priority of the filter on kernels without tcx: before those that people add without a number.
const PRIORITY: u16 = 1;

/// Attaches the programs that a mode needs; what is attached already stays as it is.
pub fn attach(pins: &Path, programs: &mut Programs, ifindex: u32, mode: Mode) -> Result<(), Error> {
    let interface = name_of(ifindex)?;
    let failed = |source| Error::Attach {
        interface: interface.clone(),
        source,
    };
    forget_vanished(pins, ifindex, &interface);
    attach_tc(&pin(pins, "tc", ifindex), &mut programs.ingress, &interface).map_err(failed)?;
    let path = pin(pins, "xdp", ifindex);
    match mode {
        Mode::Tc => detach(&path),
        _ if path.exists() => {}
        Mode::XdpNative => {
            attach_xdp(&path, &mut programs.xdp, ifindex, XdpMode::Driver).map_err(failed)?;
        }
        Mode::XdpGeneric => {
            attach_xdp(&path, &mut programs.xdp, ifindex, XdpMode::Skb).map_err(failed)?;
        }
    }
    Ok(())
}

/// Whether our XDP program is attached to an interface.
pub fn has_xdp(pins: &Path, ifindex: u32) -> bool {
    pin(pins, "xdp", ifindex).exists()
}

/// Detaches everything that is attached from these pins.
pub fn detach_all(pins: &Path) {
    let links = fs::read_dir(pins.join("links"))
        .into_iter()
        .flatten()
        .flatten();
    for entry in links {
        detach(&entry.path());
    }
}

/// Takes our filters off the interfaces of this network namespace, on kernels without tcx.
pub fn detach_filters() {
    let Ok(interfaces) = if_nameindex() else {
        return;
    };
    for interface in &interfaces {
        // Most interfaces have none.
        let name = interface.name().to_string_lossy();
        let _ = tc::qdisc_detach_program(&name, TcAttachType::Ingress, INGRESS);
    }
}

fn pin(pins: &Path, hook: &str, ifindex: u32) -> PathBuf {
    pins.join("links").join(format!("{hook}-{ifindex}"))
}

fn name_of(ifindex: u32) -> Result<String, Error> {
    let name = if_indextoname(ifindex).map_err(|_| Error::NoInterface(ifindex))?;
    Ok(name.to_string_lossy().into_owned())
}

/// An interface that vanished takes its attachments along, but not their pins; another may have
/// its index now.
fn forget_vanished(pins: &Path, ifindex: u32, interface: &str) {
    let path = pin(pins, "tc", ifindex);
    let attached = SchedClassifier::query_tcx(interface, TcAttachType::Ingress);
    let is_there = attached.is_ok_and(|(_, programs)| {
        programs
            .iter()
            .any(|program| program.name_as_str() == Some(INGRESS))
    });
    if path.exists() && !is_there {
        detach(&path);
        detach(&pin(pins, "xdp", ifindex));
    }
}

fn attach_tc(
    path: &Path,
    program: &mut SchedClassifier,
    interface: &str,
) -> Result<(), ProgramError> {
    if path.exists() {
        return Ok(());
    }
    let order = TcAttachOptions::TcxOrder(LinkOrder::first());
    match program.attach_with_options(interface, TcAttachType::Ingress, order) {
        Ok(link) => keep(program.take_link(link)?, path),
        Err(error) if has_no_tcx(&error) => attach_filter(program, interface),
        Err(error) => Err(error),
    }
}

/// Kernels before 6.6 do not know the command's attach type.
fn has_no_tcx(error: &ProgramError) -> bool {
    let ProgramError::SyscallError(error) = error else {
        return false;
    };
    error.io_error.raw_os_error() == Some(libc::EINVAL)
}

fn attach_filter(program: &mut SchedClassifier, interface: &str) -> Result<(), ProgramError> {
    match tc::qdisc_add_clsact(interface) {
        Err(TcError::AlreadyAttached) | Ok(()) => {}
        Err(error) => return Err(error.into()),
    }
    // A filter that an earlier daemon left is replaced.
    let _ = tc::qdisc_detach_program(interface, TcAttachType::Ingress, INGRESS);
    let options = NlOptions {
        priority: PRIORITY,
        ..NlOptions::default()
    };
    let options = TcAttachOptions::Netlink(options);
    let link = program.attach_with_options(interface, TcAttachType::Ingress, options)?;
    // Dropping the link would take the filter away.
    std::mem::forget(program.take_link(link)?);
    Ok(())
}

fn attach_xdp(
    path: &Path,
    program: &mut Xdp,
    ifindex: u32,
    mode: XdpMode,
) -> Result<(), ProgramError> {
    let link = program.attach_to_if_index(ifindex, mode)?;
    pin_link(program.take_link(link)?.try_into(), path)
}

fn keep(link: SchedClassifierLink, path: &Path) -> Result<(), ProgramError> {
    pin_link(link.try_into(), path)
}

fn pin_link(link: Result<FdLink, LinkError>, path: &Path) -> Result<(), ProgramError> {
    let unpinned = |why: String| {
        ProgramError::IOError(io::Error::other(format!(
            "the link cannot be pinned: {why}"
        )))
    };
    let link = link.map_err(|error| unpinned(error.to_string()))?;
    link.pin(path)
        .map(drop)
        .map_err(|error| unpinned(error.to_string()))
}

/// Ends an attachment by its pin. One that is not there, or whose file system is gone, has ended.
fn detach(path: &Path) {
    if let Ok(Ok(link)) = PinnedLink::from_pin(path).map(PinnedLink::unpin) {
        drop(link);
    }
}
