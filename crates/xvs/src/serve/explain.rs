//! What would become of a packet: it goes through the forwarding code in this process, over the live
//! tables, which stay as they are.

use abi::{InterfaceCell, TraceHook, interface_flags};
use control::{Peek as _, Plane as _};
use forward::Action;
use model::{ExplainRequest, TracedPacket};
use plane_user::{Frame, Overlay};

use crate::serve::shared::{Shared, State};
use crate::serve::trace::{now, since_1970};

/// Bytes of a MAC address.
const MAC: usize = 6;

/// Explains a packet at one hook after the other.
///
/// # Errors
/// When it does not say enough, or comes by an interface on which no packets are taken.
pub fn explain(
    shared: &Shared,
    request: &ExplainRequest,
) -> Result<Vec<TracedPacket>, api::Problem> {
    let state = shared.lock();
    let plane = state.director.plane();
    let ifindex = entrance(&state, request)?;
    let view = plane.view();
    let mut cells = view.interfaces.iter();
    let Some(interface) = cells.find(|cell| cell.ifindex.load() == ifindex) else {
        let name = name(&state, ifindex).unwrap_or_else(|| ifindex.to_string());
        return Err(api::Problem::new(format!(
            "packets that come by {name} do not meet the director\nhint: `xvs status' lists the \
             interfaces on which it takes packets; choose one of them with --in"
        )));
    };
    let bytes = addressed(&request.frame, interface);
    // Lots fall another way for the packet itself, too.
    let overlay = Overlay::new(plane, now() as u32);
    let told = |taken_down: &abi::TraceProcessor| {
        let record = &taken_down.record;
        control::trace::told(record, &view, since_1970(), |ifindex| name(&state, ifindex))
    };
    let mut packets = Vec::new();
    if interface.flags.load() & interface_flags::XDP != 0 {
        let mut frame = Frame::<false, _>::new(&overlay, ifindex, &bytes);
        frame.mark = request.mark;
        let (outcome, taken_down) = frame.trace(TraceHook::Xdp, now());
        packets.push(told(&taken_down));
        if outcome.verdict.action() != Action::Pass {
            return Ok(packets);
        }
    }
    let mut frame = Frame::<true, _>::new(&overlay, ifindex, &bytes);
    frame.mark = request.mark;
    let (_, taken_down) = frame.trace(TraceHook::Ingress, now());
    packets.push(told(&taken_down));
    Ok(packets)
}

/// The interface that the packet comes in by: the one that is asked for, else the one that leads to
/// its sender.
fn entrance(state: &State, request: &ExplainRequest) -> Result<u32, api::Problem> {
    if let Some(name) = &request.interface {
        let link = state.snapshot.link_named(name);
        let unknown = || api::Problem::new(format!("there is no interface `{name}' here"));
        return Ok(link.ok_or_else(unknown)?.ifindex);
    }
    let address = control::words(request.source);
    let way = state
        .director
        .plane()
        .route(request.source.is_ipv6(), address);
    let way = way.filter(|way| way.ifindex != 0);
    way.map(|way| way.ifindex).ok_or_else(|| {
        api::Problem::new(format!(
            "no way leads to {}, so that its packets could come by any interface\nhint: say which, \
             with --in",
            request.source
        ))
    })
}

fn name(state: &State, ifindex: u32) -> Option<String> {
    Some(state.snapshot.link(ifindex)?.name.clone())
}

/// The frame, to the interface's own MAC address where it is to none.
fn addressed(frame: &[u8], interface: &InterfaceCell) -> Vec<u8> {
    let mut bytes = frame.to_vec();
    if let Some(to) = bytes.first_chunk_mut::<MAC>()
        && *to == [0; MAC]
    {
        let [a, b, c, d] = interface.mac[0].load().to_ne_bytes();
        let [e, f, ..] = interface.mac[1].load().to_ne_bytes();
        *to = [a, b, c, d, e, f];
    }
    bytes
}
