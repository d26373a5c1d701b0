//! Traces: requests become filters, and what packets took down becomes readable.

use std::net::SocketAddr;

use abi::{
    Outcome, Reason, ServiceCell, Stage, TraceAddresses, TraceFilter, TraceFrame, TraceProcessor,
    TraceRecord, View, destination_flags, method,
};
use cell::Cell32;
use conntable::Word;
use model::{
    ConnectionProtocol, Family, Forwarding, Prefix, Protocol, ServiceKey, TraceDirection,
    TraceHook, TraceRequest, TraceTally, TraceVerdict, TracedConnection, TracedFrame, TracedPacket,
};
use thiserror::Error;

use crate::connections::state_name;
use crate::marks::masked;
use crate::words;

/// Why nobody can trace by a request.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum TraceError {
    /// Addresses of both families.
    #[error(
        "the addresses are of different families\nhint: a packet is either IPv4 or IPv6: trace twice"
    )]
    Families,
    /// A reason that nobody knows.
    #[error(
        "there is no reason `{0}'\nhint: `xvs status' names those that packets have met; all of them \
         are in docs/no-answer.md"
    )]
    Reason(String),
    /// A number that must not be 0.
    #[error("{0} must not be 0")]
    Zero(&'static str),
}

/// Reasons that say that a packet concerns no virtual service.
const ELSEWHERE: [Reason; 3] = [Reason::NotOurs, Reason::NotIp, Reason::NotForThisHost];

/// Bytes of a frame's MAC addresses.
const MACS: usize = 12;

/// Fills in a filter, which becomes active last.
///
/// # Errors
/// When no packet could meet the request, or it is not to be understood.
pub fn ask(
    filter: &TraceFilter,
    request: &TraceRequest,
    ticks_per_second: u32,
) -> Result<(), TraceError> {
    let ends = [request.client, request.vip, request.server];
    let mut families = ends
        .iter()
        .flatten()
        .map(|end| words::family(end.address()));
    let family = families.next().unwrap_or(0);
    if families.any(|other| other != family) {
        return Err(TraceError::Families);
    }
    for (name, number) in [
        ("sample", request.sample),
        ("per_second", request.per_second),
    ] {
        if number == 0 {
            return Err(TraceError::Zero(name));
        }
    }
    let reasons = reasons(request)?;
    filter.active.store(0);
    filter.family.store(family);
    filter.port.store(request.port.unwrap_or(0).to_be().into());
    filter.sample.store(request.sample);
    filter.budget.store(request.per_second);
    filter.window.store(ticks_per_second);
    filter.reasons.store(reasons);
    let cells = [&filter.client, &filter.virtual_address, &filter.server];
    for (cells, end) in cells.into_iter().zip(ends) {
        put(cells, end);
    }
    filter.active.store(1);
    Ok(())
}

/// The reasons that a request asks for, a bit for each.
fn reasons(request: &TraceRequest) -> Result<u64, TraceError> {
    let bit = |reason: &Reason| 1u64 << *reason as u32;
    let mut asked = Reason::ALL.iter().map(bit).sum::<u64>();
    if !request.reasons.is_empty() {
        let known = |name: &String| {
            let found = Reason::ALL.iter().find(|reason| reason.name() == name);
            found.ok_or_else(|| TraceError::Reason(name.clone()))
        };
        let bits = request.reasons.iter().map(|name| known(name).map(bit));
        asked = bits
            .collect::<Result<Vec<_>, _>>()?
            .iter()
            .fold(0, |all, bit| all | bit);
    } else if !request.everything && !request.asks_for_an_end() {
        asked &= !ELSEWHERE.iter().map(bit).sum::<u64>();
    }
    if request.dropped {
        let dropped = Reason::ALL
            .iter()
            .filter(|reason| reason.outcome() == Outcome::Drop);
        asked &= dropped.map(bit).sum::<u64>();
    }
    Ok(asked)
}

fn put(cells: &TraceAddresses, prefix: Option<Prefix>) {
    let (address, mask) = masked(prefix);
    words::store(&cells.address, address);
    words::store(&cells.mask, mask);
}

/// What a tracer was told so far.
pub fn tally(processors: &[TraceProcessor], tracer: usize) -> TraceTally {
    let tallies = processors
        .iter()
        .filter_map(|processor| processor.tallies.get(tracer));
    tallies.fold(TraceTally::default(), |sum, tally| TraceTally {
        matched: sum.matched + tally.matched.load(),
        reported: sum.reported + tally.reported.load(),
        sampled_out: sum.sampled_out + tally.sampled_out.load(),
        withheld: sum.withheld + tally.withheld.load(),
        lost: sum.lost + tally.lost.load(),
    })
}

/// A record in readable form. `since_1970`: nanoseconds from 1970 to the time that
/// records count from; `interface` gives names.
pub fn told(
    record: &TraceRecord,
    view: &View<'_>,
    since_1970: u64,
    interface: impl Fn(u32) -> Option<String>,
) -> TracedPacket {
    let reason = reason(record);
    let verdict = verdict(record, reason);
    let named = |cell: &Cell32| match cell.load() {
        0 => None,
        number => Some(interface(number).unwrap_or_else(|| number.to_string())),
    };
    let leaves = !matches!(verdict, TraceVerdict::Pass | TraceVerdict::Drop);
    let (before, mut after) = (frame(&record.before), frame(&record.after));
    if leaves
        && before.bytes.get(..MACS) == after.bytes.get(..MACS)
        && let Some(macs) = after.bytes.get_mut(..MACS)
    {
        // The kernel is still to ask for the neighbour's, and writes both.
        macs.fill(0);
    }
    // For a real server on the director, or by one.
    let is_rewritten_here = verdict == TraceVerdict::Pass && before != after;
    let passed = record.stages.load();
    let mut stages = Stage::ALL.to_vec();
    stages.retain(|stage| passed >> *stage as u32 & 1 != 0);
    stages.sort_by_key(|stage| order(*stage));
    let names = stages.iter().map(|stage| stage.name().to_owned());
    let hook = hook(record);
    TracedPacket {
        at: since_1970.wrapping_add(record.at.load()),
        hook,
        processor: record.processor.load(),
        entered_by: named(&record.entered_by),
        left_by: named(&record.left_by),
        mark: record.mark.load(),
        service: service(record, view),
        connection: connection(record, view),
        verdict,
        reason: reason.name().to_owned(),
        sentence: reason.sentence().to_owned(),
        stages: names.collect(),
        after: (leaves || is_rewritten_here).then_some(after),
        before,
    }
}

/// How early a stage comes on a packet's way.
const fn order(stage: Stage) -> u32 {
    use Stage as S;
    match stage {
        S::Enter | S::EnterV6 | S::Depart | S::DepartV6 => 0,
        S::Fragment | S::FragmentV6 | S::Relay | S::RelayV6 => 1,
        S::Open | S::OpenV6 => 2,
        S::Persist | S::PersistV6 => 3,
        S::Schedule => 4,
        S::Make | S::MakeV6 => 5,
        S::Lend | S::LendV6 | S::LendOther | S::LendOtherV6 => 6,
        S::Onward | S::OnwardV6 | S::Return | S::ReturnV6 => 7,
        S::Fullnat | S::FullnatV6 | S::Translate | S::TranslateV6 => 8,
        S::FullnatError | S::FullnatErrorV6 => 9,
        S::Cross | S::CrossV6 | S::CrossBack | S::CrossBackV6 => 9,
        S::CrossError | S::CrossErrorV6 => 10,
        S::Tell | S::TellV6 | S::Sacks | S::SacksV6 => 10,
        S::Tunnel | S::TunnelV6 | S::Cut => 11,
        S::Answer | S::AnswerV6 => 12,
    }
}

fn reason(record: &TraceRecord) -> Reason {
    let number = record.reason.load();
    let known = Reason::ALL.iter().find(|reason| **reason as u32 == number);
    known.copied().unwrap_or(Reason::TableMissing)
}

fn verdict(record: &TraceRecord, reason: Reason) -> TraceVerdict {
    match abi::TraceVerdict::of(record.verdict.load()) {
        Some(abi::TraceVerdict::Pass) => TraceVerdict::Pass,
        Some(abi::TraceVerdict::Send) if reason.outcome() == Outcome::Drop => TraceVerdict::Answer,
        Some(abi::TraceVerdict::Send) => TraceVerdict::Send,
        Some(abi::TraceVerdict::Consume) => TraceVerdict::Fragments,
        Some(abi::TraceVerdict::Drop) | None => TraceVerdict::Drop,
    }
}

fn hook(record: &TraceRecord) -> TraceHook {
    match abi::TraceHook::of(record.hook.load()) {
        Some(abi::TraceHook::Xdp) => TraceHook::Xdp,
        Some(abi::TraceHook::Egress) => TraceHook::Egress,
        Some(abi::TraceHook::Ingress) | None => TraceHook::Ingress,
    }
}

fn frame(frame: &TraceFrame) -> TracedFrame {
    let kept = frame.kept.load() as usize;
    let bytes = frame
        .bytes
        .iter()
        .flat_map(|word| word.load().to_ne_bytes());
    TracedFrame {
        length: frame.length.load(),
        tag: frame.tag.load() as u16,
        segment_size: frame.segment_size.load(),
        bytes: bytes.take(kept).collect(),
    }
}

/// The service that a packet was scheduled for, else its connection's.
fn service(record: &TraceRecord, view: &View<'_>) -> Option<ServiceKey> {
    let scheduled = view.services.get(record.service.load() as usize);
    let of_connection = || {
        let destination = view.destinations.get(record.destination.load() as usize)?;
        let number = destination.service.load();
        let cells = view.services_of(view.globals.side.load()).iter();
        let mut used = cells.filter(|cell| cell.key.load() != 0);
        used.find(|cell| cell.number.load() == number)
    };
    key(scheduled.or_else(of_connection)?)
}

fn key(cell: &ServiceCell) -> Option<ServiceKey> {
    let key = cell.key.load();
    let is_v6 = key & ServiceCell::IPV6 != 0;
    let address = words::load(&cell.address);
    if key & ServiceCell::MARK != 0 {
        return Some(ServiceKey::Mark {
            mark: address[0],
            family: if is_v6 { Family::Ipv6 } else { Family::Ipv4 },
        });
    }
    Some(ServiceKey::Address {
        protocol: Protocol::from_number((key >> 16) as u8)?,
        address: words::to_address(address, is_v6),
        port: u16::from_be(key as u16),
    })
}

fn connection(record: &TraceRecord, view: &View<'_>) -> Option<TracedConnection> {
    let destination = view.destinations.get(record.destination.load() as usize)?;
    let is_other = record.connection.load() & abi::OTHER_FAMILY != 0;
    let is_v6 = (record.family.load() == 6) != is_other;
    let to_v6 = destination.flags.load() & destination_flags::IPV6 != 0;
    let end = |address: &[Cell32; 4], is_v6: bool, port: &Cell32| {
        let port = u16::from_be(port.load() as u16);
        SocketAddr::new(words::to_address(words::load(address), is_v6), port)
    };
    let protocol = match record.connection_protocol.load() {
        6 => ConnectionProtocol::Tcp,
        17 => ConnectionProtocol::Udp,
        132 => ConnectionProtocol::Sctp,
        _ => ConnectionProtocol::Ip,
    };
    let state =
        |word: u64| (word != 0).then(|| state_name(protocol, Word(word).state()).to_owned());
    Some(TracedConnection {
        protocol,
        client: end(&record.client, is_v6, &record.client_port),
        virtual_address: end(&record.virtual_address, is_v6, &record.virtual_port),
        destination: end(&record.server, to_v6, &record.server_port),
        forwarding: match record.method.load() as u8 {
            method::LOCAL => Forwarding::Local,
            method::TUNNEL => Forwarding::Tunnel,
            method::DIRECT_ROUTE => Forwarding::Route,
            method::FULLNAT => Forwarding::FullNat,
            _ => Forwarding::Masq,
        },
        direction: match record.direction.load() {
            2 => TraceDirection::ToClient,
            _ => TraceDirection::ToServer,
        },
        before: state(record.word_before.load()),
        after: state(record.word_after.load()),
    })
}
