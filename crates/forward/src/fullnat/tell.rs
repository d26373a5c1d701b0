//! How a real server learns the client's address, which it does not see in packets: by a TCP option
//! (TOA), or by the PROXY protocol's header, with which the stream then begins.
//!
//! It is told in segments without payload alone, behind which either is put: those are never several
//! in one, as none can be lost when a device cuts it, and always fit the way. The segment that
//! completes the handshake is one mostly. Where the client's first segment has payload, a copy goes
//! before it that has none: the whole packet is sent twice, and [`tell`] makes the one of it that
//! leaves first ([`Host::send_copy`]).
//!
//! What is lost comes again: until the real server has acknowledged what it was told, it is told with
//! every segment from the beginning of the client's stream, thus with all that the client repeats.
//! Only the first segment with payload goes by itself, since the handshake's last one has told just
//! before.

use abi::{Globals, Reason, destination_flags, telling};
use cell::blurred;
use conntable::{Found, Slot as _};
use wire::tcp::{self, client_address};
use wire::{Delta, checksum, ipv4, proxy};

use crate::connection::Chosen;
use crate::family::Family;
use crate::fullnat::numbers::Renumbered;
use crate::host::{Host, Tables, connections};
use crate::packet::{Fragment, Packet, Ports};
use crate::route::Way;
use crate::verdict::{Step, Verdict};

/// An alias' state: the way of telling (bits of [`telling`]) above these bits, which say how far.
const PROGRESS: u8 = 3;
const WAY_SHIFT: u32 = 2;
/// Nothing was told.
const NEW: u8 = 0;
/// A segment without payload told.
const SENT: u8 = 1;
/// Payload went on.
const PAYLOAD: u8 = 2;
/// The real server has acknowledged it.
const DONE: u8 = 3;

/// The state of a new alias, for a connection to a destination that begins with a segment of these
/// flags. Where it does not begin at the beginning, there is no telling any more.
#[inline(always)]
pub(crate) fn state_for(chosen: &Chosen<'_>, protocol: u8, flags: u32) -> u8 {
    let wanted = chosen.cell.flags.load();
    if protocol != ipv4::TCP || flags & tcp::SYN as u32 == 0 {
        return 0;
    }
    let way = if wanted & destination_flags::ADDRESS_OPTION != 0 {
        telling::OPTION
    } else if wanted & destination_flags::PROXY_PROTOCOL != 0 {
        telling::PROXY
    } else {
        return 0;
    };
    (way << WAY_SHIFT) as u8 | NEW
}

/// By how many bytes the PROXY protocol's header makes the stream of a client longer.
#[inline(always)]
pub(crate) const fn length_of<F: Family>(way: u8) -> u32 {
    match (way as u32 == telling::PROXY, F::IS_V6) {
        (false, _) => 0,
        (true, false) => proxy::V4,
        (true, true) => proxy::V6,
    }
}

/// What becomes of a client's segment.
pub(crate) struct Told {
    /// Its sequence number, as the real server counts.
    pub number: Renumbered,
    /// How it tells the client's address: 0 not at all.
    way: u8,
    /// 1 where it has no payload, else 0.
    is_bare: u32,
    /// The sequence number of the segment that tells.
    sequence: u32,
}

impl Told {
    const NOTHING: Self = Self {
        number: Renumbered::NOT,
        way: 0,
        is_bare: 0,
        sequence: 0,
    };

    /// See [`cell::blurred`]: what comes behind is the same for all that may be told.
    #[inline(always)]
    fn blurred(self, unknown: u32) -> Self {
        Self {
            number: self.number.blurred(unknown),
            way: blurred(self.way as u32, unknown) as u8,
            is_bare: blurred(self.is_bare, unknown),
            sequence: blurred(self.sequence, unknown),
        }
    }

    /// Whether the address is told with it.
    #[inline(always)]
    pub const fn is_telling(&self) -> bool {
        self.way != 0
    }
}

/// What a segment of the client's (of family `F`) tells the real server (of `A`), and notes that it does. A hook that is not
/// complete leaves all that tell to the one that is.
#[inline(always)]
pub(crate) fn told<'t, F: Family, A: Family, H: Host<'t>>(
    host: &mut H,
    globals: &Globals,
    segment: (&Packet<F>, &Ports),
    alias: &Found<'t, A::Slot>,
) -> Step<Told> {
    let told = decided::<F, A, H>(host, globals, segment, alias)?;
    Ok(told.blurred(alias.word.expiry()))
}

#[inline(always)]
fn decided<'t, F: Family, A: Family, H: Host<'t>>(
    host: &mut H,
    globals: &Globals,
    (packet, ports): (&Packet<F>, &Ports),
    alias: &Found<'t, A::Slot>,
) -> Step<Told> {
    let state = alias.word.state();
    if state == 0 {
        return Ok(Told::NOTHING);
    }
    let (way, progress) = (state >> WAY_SHIFT, state & PROGRESS);
    let length = length_of::<F>(way);
    let head: [u8; 16] = host.bytes(packet.l4).ok_or(Reason::TruncatedHeader)?;
    let sequence = u32::from_be_bytes([head[4], head[5], head[6], head[7]]);
    let header = (head[tcp::LENGTH_OFFSET as usize] >> 4) as u32 * 4;
    let is_bare = packet.length == packet.header_length() + header;
    let first = alias.entry.opened_at();
    if ports.flags & tcp::SYN != 0 {
        if progress == DONE || packet.fragment != Fragment::NONE {
            return Ok(Told::NOTHING);
        }
        let tells = way as u32 == telling::OPTION;
        if tells && !H::COMPLETE {
            return Err(Reason::ToStack);
        }
        first.store(sequence.wrapping_add(1));
        return Ok(Told {
            number: Renumbered::NOT,
            way: if tells { way } else { 0 },
            is_bare: is_bare as u32,
            sequence,
        });
    }
    let shifted = Renumbered::sequence(sequence, sequence.wrapping_add(length));
    if progress == DONE {
        return Ok(Told {
            number: shifted,
            ..Told::NOTHING
        });
    }
    if ports.flags & tcp::RST != 0 {
        return Ok(Told::NOTHING);
    }
    let is_first = sequence == first.load() && packet.fragment == Fragment::NONE;
    if !is_first {
        return Ok(Told {
            number: shifted,
            ..Told::NOTHING
        });
    }
    let tells = is_bare || progress != SENT;
    if tells && !H::COMPLETE {
        return Err(Reason::ToStack);
    }
    let next = if is_bare { progress.max(SENT) } else { PAYLOAD };
    progressed::<A, _>(host.tables(), globals, alias, way << WAY_SHIFT | next);
    Ok(Told {
        // What a segment without payload tells stands where the stream begins.
        number: if is_bare { Renumbered::NOT } else { shifted },
        way: if tells { way } else { 0 },
        is_bare: is_bare as u32,
        sequence,
    })
}

#[inline(always)]
fn progressed<'t, A: Family, T: Tables<'t>>(
    tables: T,
    globals: &Globals,
    alias: &Found<'t, A::Slot>,
    state: u8,
) {
    let next = |word: conntable::Word| word.moved(state, word.one_way(), word.expiry());
    // Where it is gone, so is its connection.
    let _moved = connections::<A, T>(tables, globals).update(alias, next);
}

/// The acknowledgement number of a real server's answer, as the client counts, and by how much the
/// client's stream is shorter.
#[inline(always)]
pub(crate) fn heard<'t, F: Family, A: Family, H: Host<'t>>(
    host: &mut H,
    globals: &Globals,
    segment: (&Packet<A>, &Ports),
    alias: &Found<'t, A::Slot>,
) -> Step<(Renumbered, u32)> {
    let (number, shift) = acknowledged::<F, A, H>(host, globals, segment, alias)?;
    let unknown = alias.word.expiry();
    Ok((number.blurred(unknown), blurred(shift, unknown)))
}

#[inline(always)]
fn acknowledged<'t, F: Family, A: Family, H: Host<'t>>(
    host: &mut H,
    globals: &Globals,
    (packet, ports): (&Packet<A>, &Ports),
    alias: &Found<'t, A::Slot>,
) -> Step<(Renumbered, u32)> {
    let state = alias.word.state();
    if state == 0 || ports.flags & tcp::ACK == 0 {
        return Ok((Renumbered::NOT, 0));
    }
    let (way, progress) = (state >> WAY_SHIFT, state & PROGRESS);
    let length = length_of::<F>(way);
    let offset = packet.l4 + tcp::ACKNOWLEDGEMENT_OFFSET;
    let number = u32::from_be_bytes(host.bytes(offset).ok_or(Reason::TruncatedHeader)?);
    if ports.flags & tcp::SYN != 0 {
        return Ok((Renumbered::NOT, 0));
    }
    let mut shift = length;
    if progress != DONE {
        let passed = number.wrapping_sub(alias.entry.opened_at().load());
        if (passed as i32) < length.max(1) as i32 {
            // Of what it was told, the client knows nothing.
            shift = if (passed as i32) < 0 { 0 } else { passed };
        } else {
            progressed::<A, _>(host.tables(), globals, alias, way << WAY_SHIFT | DONE);
        }
    }
    let heard = Renumbered::acknowledgement(number, number.wrapping_sub(shift));
    Ok((heard, length))
}

/// The sequence number that a real server's side quotes, as the client counts.
#[inline(always)]
pub(crate) fn quoted<F: Family, A: Family>((alias, state): (&A::Slot, u8), number: u32) -> u32 {
    let length = length_of::<F>(state >> WAY_SHIFT);
    let passed = number.wrapping_sub(alias.opened_at().load());
    if state & PROGRESS == DONE || passed as i32 >= length as i32 {
        number.wrapping_sub(length)
    } else {
        number
    }
}

/// Sends a rewritten segment that tells the address of a client of family `F`.
#[inline(always)]
pub(crate) fn along<'t, F: Family, A: Family, H: Host<'t>>(
    host: &mut H,
    main: &F::Slot,
    told: &Told,
    way: &Way<'t>,
) -> Step<Verdict> {
    let carry = host.carry().ok_or(Reason::TableMissing)?;
    let (client, address) = (F::words(main.client()), F::words(main.virtual_address()));
    for word in 0..4 {
        carry.client[word].store(client[word]);
        carry.virtual_address[word].store(address[word]);
    }
    let (from, to) = (main.client_port() as u32, main.virtual_port() as u32);
    carry.ports.store(from | to << 16);
    carry.sequence.store(told.sequence);
    carry.exit.store(way.ifindex());
    let family = if F::IS_V6 { telling::IPV6 } else { 0 };
    let how = told.way as u32 | family;
    if told.is_bare != 0 {
        carry.told.store(how);
        return Ok(Verdict::go_on(A::TELL));
    }
    carry.told.store(how | telling::COPY);
    host.send_copy().ok_or(Reason::RewriteFailed)?;
    carry.told.store(0);
    Ok(Verdict::send(Reason::Forwarded))
}

/// The stage, of a packet on its way to a real server of the family: makes the segment that tells.
/// A copy goes on where it is going.
#[inline(always)]
pub(crate) fn tell<'t, A: Family, H: Host<'t>>(host: &mut H) -> Step<Verdict> {
    let carry = host.carry().ok_or(Reason::TableMissing)?;
    let how = carry.told.load();
    carry.told.store(0);
    let is_copy = how & telling::COPY != 0;
    let is_made = rewrite::<A, H>(host, how, is_copy)?;
    host.count(if is_made {
        Reason::AddressTold
    } else {
        Reason::AddressUntold
    });
    if is_copy {
        return Ok(Verdict::stay(Reason::ToStack));
    }
    host.leave_by(carry.exit.load());
    Ok(Verdict::send(Reason::Forwarded))
}

/// What is put behind a segment: bytes of options, and of payload.
#[inline(always)]
const fn tail(how: u32) -> (u32, u32) {
    match (how & telling::OPTION != 0, how & telling::IPV6 != 0) {
        (true, false) => (client_address::V4 as u32, 0),
        (true, true) => (client_address::V6 as u32, 0),
        (false, false) => (0, proxy::V4),
        (false, true) => (0, proxy::V6),
    }
}

/// Whether the segment had room for what it is to tell.
#[inline(always)]
fn rewrite<'t, A: Family, H: Host<'t>>(host: &mut H, how: u32, is_copy: bool) -> Step<bool> {
    let mut packet = Packet::<A>::read(host)?;
    packet.check(host)?;
    let carry = host.carry().ok_or(Reason::TableMissing)?;
    let l4 = packet.l4;
    let head: [u8; 16] = host.bytes(l4).ok_or(Reason::TruncatedHeader)?;
    let header = (head[tcp::LENGTH_OFFSET as usize] >> 4) as u32 * 4;
    let (options, payload) = tail(how);
    if header + options > tcp::MAX_HEADER {
        return Ok(false);
    }
    let old_length = packet.length - packet.header_length();
    let new_length = header + options + payload;
    let pseudo_header = A::pseudo_header(&packet.ip, old_length, ipv4::TCP);
    host.resize(l4 + new_length).ok_or(Reason::RewriteFailed)?;
    let whole = packet.header_length() + new_length;
    A::set_length(host, packet.l3(), &packet.ip, whole).ok_or(Reason::RewriteFailed)?;
    let last = if is_copy { tcp::FIN | tcp::PSH } else { 0 };
    let flags = head[tcp::LENGTH_OFFSET as usize + 1] & !last;
    let length = ((header + options) as u8) << 2;
    let mut write = |offset: u32, bytes: &[u8; 4]| host.set_bytes(l4 + offset, bytes);
    write(tcp::SEQUENCE_OFFSET, &carry.sequence.load().to_be_bytes())
        .and_then(|()| write(tcp::LENGTH_OFFSET, &[length, flags, head[14], head[15]]))
        .ok_or(Reason::RewriteFailed)?;
    if options != 0 {
        clear_options(host, l4, header);
    }
    write_tail(host, l4 + header, how).ok_or(Reason::RewriteFailed)?;
    let sum = sum(host, l4, new_length).ok_or(Reason::RewriteFailed)?;
    let lengths = Delta::of_u16((old_length as u16).to_be(), (new_length as u16).to_be());
    // The old checksum, which is in the sum, says what the old payload's sum was. Where a device is
    // to complete it, it says nothing, and this is left out.
    let contents = Delta::of_u16(
        u16::MAX,
        checksum::fold(sum as u32 + checksum::fold(pseudo_header) as u32),
    );
    host.change_checksum(l4 + tcp::CHECKSUM_OFFSET, lengths, contents, false)
        .ok_or(Reason::RewriteFailed)?;
    Ok(true)
}

/// Makes nothing of what the client itself put there for the same: nobody but the director tells
/// addresses. And makes nothing of the list's end, as another option is to come behind.
#[inline(always)]
fn clear_options<'t, H: Host<'t>>(host: &mut H, l4: u32, header: u32) {
    let (mut offset, mut rest) = (tcp::HEADER, 0);
    // Without a branch for what an option is, as the kernel's verifier follows every one of every
    // byte.
    let same = |a: u32, b: u8| (a ^ b as u32).wrapping_sub(1) >> 31;
    for _ in 0..tcp::MAX_HEADER - tcp::HEADER {
        if offset >= header {
            return;
        }
        let Some(head) = host.bytes::<2>(l4 + offset) else {
            return;
        };
        let (kind, length) = (head[0] as u32, head[1] as u32);
        let is_forged = same(kind, client_address::KIND) & same(rest, 0);
        rest += length & is_forged.wrapping_neg();
        let is_cleared = same(rest, 0) ^ 1;
        let is_single = is_cleared | same(kind, tcp::NOTHING) | same(kind, tcp::END);
        let either =
            |single: u32, other: u32| other ^ ((other ^ single) & is_single.wrapping_neg());
        let _written = host.set_bytes(l4 + offset, &[either(tcp::NOTHING as u32, kind) as u8]);
        rest = cell::masked::<256>(rest - is_cleared) as u32;
        offset = cell::masked::<64>(offset + either(1, length)) as u32;
    }
}

/// The words of a segment without payload, as far as what it tells.
#[inline(always)]
fn sum<'t, H: Host<'t>>(host: &mut H, l4: u32, length: u32) -> Option<u16> {
    const WORDS: u32 = (tcp::MAX_HEADER + proxy::V6) / 4;
    let mut sum = 0u64;
    let length = blurred(length, l4);
    for word in 0..WORDS {
        if word * 4 >= length {
            break;
        }
        sum += u32::from_ne_bytes(host.bytes(l4 + word * 4)?) as u64;
    }
    let sum = (sum & 0xffff) + (sum >> 16 & 0xffff) + (sum >> 32);
    Some(checksum::fold(sum as u32))
}

/// Writes what is told.
#[inline(always)]
fn write_tail<'t, H: Host<'t>>(host: &mut H, offset: u32, how: u32) -> Option<()> {
    let carry = host.carry()?;
    let is_v6 = how & telling::IPV6 != 0;
    let words = if is_v6 { 4 } else { 1 };
    let ports = carry.ports.load();
    if how & telling::OPTION != 0 {
        let [a, b] = (ports as u16).to_ne_bytes();
        let (length, _) = tail(how);
        host.set_bytes(offset, &[client_address::KIND, length as u8, a, b])?;
        for word in 0..words {
            let bytes = carry.client[word as usize].load().to_ne_bytes();
            host.set_bytes(offset + 4 + word * 4, &bytes)?;
        }
        return Some(());
    }
    host.set_bytes(offset, &proxy::head(is_v6))?;
    let client = offset + proxy::HEAD;
    let address = client + words * 4;
    for word in 0..words {
        let bytes = carry.client[word as usize].load().to_ne_bytes();
        host.set_bytes(client + word * 4, &bytes)?;
        let bytes = carry.virtual_address[word as usize].load().to_ne_bytes();
        host.set_bytes(address + word * 4, &bytes)?;
    }
    host.set_bytes(address + words * 4, &ports.to_ne_bytes())
}

/// Whether a packet that leaves is a copy that is to tell, and by which stage.
#[inline(always)]
pub fn copy_tells<'t, H: Host<'t>>(host: &mut H) -> Option<abi::Stage> {
    let how = host.carry()?.told.load();
    if how & telling::COPY == 0 {
        return None;
    }
    let link = crate::packet::Link::read(host).ok()?;
    Some(if link.kind == wire::ethernet::IPV6 {
        abi::Stage::TellV6
    } else {
        abi::Stage::Tell
    })
}
