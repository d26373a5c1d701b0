//! The bpf system call, as far as aya does not offer it: links by their pins, and a map in a map.
//!
//! Structures are prefixes of the kernel's `union bpf_attr`, which takes what is left out for zero.

use std::ffi::CString;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

const BPF_MAP_CREATE: libc::c_int = 0;
const BPF_OBJ_PIN: libc::c_int = 6;
const BPF_OBJ_GET: libc::c_int = 7;
const BPF_OBJ_GET_INFO_BY_FD: libc::c_int = 15;
const BPF_LINK_CREATE: libc::c_int = 28;
const BPF_LINK_UPDATE: libc::c_int = 29;
const BPF_LINK_DETACH: libc::c_int = 34;

const BPF_MAP_TYPE_ARRAY: u32 = 2;
const BPF_MAP_TYPE_ARRAY_OF_MAPS: u32 = 12;

const BPF_F_MMAPABLE: u32 = 1 << 10;

const BPF_CGROUP_INET4_CONNECT: u32 = 10;
const BPF_CGROUP_INET6_CONNECT: u32 = 11;
const BPF_XDP: u32 = 37;
const BPF_TCX_INGRESS: u32 = 46;
const BPF_TCX_EGRESS: u32 = 47;
/// Before every other program of the hook.
const BPF_F_BEFORE: u32 = 1 << 3;
/// After every other program of the hook.
const BPF_F_AFTER: u32 = 1 << 4;
const XDP_FLAGS_SKB_MODE: u32 = 1 << 1;
const XDP_FLAGS_DRV_MODE: u32 = 1 << 2;

/// Where a link attaches a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// XDP in the driver.
    XdpNative,
    /// XDP in the kernel's generic receive path.
    XdpGeneric,
    /// TC's ingress, before other programs there.
    TcIngress,
    /// TC's egress, after other programs there.
    TcEgress,
}

/// Where a program meets sockets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SocketPlace {
    /// IPv4 sockets about to connect.
    Connect4,
    /// IPv6 sockets about to connect.
    Connect6,
}

/// What the kernel says about a link: the beginning of its `struct bpf_link_info`.
#[repr(C)]
#[derive(Debug, Default, Clone, Copy)]
pub struct LinkInfo {
    kind: u32,
    id: u32,
    /// Identifier of the program.
    pub program: u32,
    padding: u32,
    /// The interface; 0 when it is gone.
    pub ifindex: u32,
    attach_type: u32,
}

/// Attaches a program to an interface, for as long as the link is pinned or open.
pub fn create_link(program: BorrowedFd<'_>, ifindex: u32, place: Place) -> io::Result<OwnedFd> {
    #[repr(C)]
    struct Attributes {
        program: i32,
        ifindex: u32,
        attach_type: u32,
        flags: u32,
    }
    let (attach_type, flags) = match place {
        Place::XdpNative => (BPF_XDP, XDP_FLAGS_DRV_MODE),
        Place::XdpGeneric => (BPF_XDP, XDP_FLAGS_SKB_MODE),
        Place::TcIngress => (BPF_TCX_INGRESS, BPF_F_BEFORE),
        Place::TcEgress => (BPF_TCX_EGRESS, BPF_F_AFTER),
    };
    let mut attributes = Attributes {
        program: program.as_raw_fd(),
        ifindex,
        attach_type,
        flags,
    };
    // SAFETY: numbers only.
    unsafe { call_for_file(BPF_LINK_CREATE, &mut attributes) }
}

/// Attaches a program to all sockets of this machine's control groups, as far as this process sees
/// them, for as long as the link is pinned or open.
pub fn create_socket_link(program: BorrowedFd<'_>, place: SocketPlace) -> io::Result<OwnedFd> {
    #[repr(C)]
    struct Attributes {
        program: i32,
        cgroup: i32,
        attach_type: u32,
        flags: u32,
    }
    let cgroup = root_cgroup()?;
    let mut attributes = Attributes {
        program: program.as_raw_fd(),
        cgroup: cgroup.as_raw_fd(),
        attach_type: match place {
            SocketPlace::Connect4 => BPF_CGROUP_INET4_CONNECT,
            SocketPlace::Connect6 => BPF_CGROUP_INET6_CONNECT,
        },
        flags: 0,
    };
    // SAFETY: numbers only.
    unsafe { call_for_file(BPF_LINK_CREATE, &mut attributes) }
}

/// The root of the control groups (version 2), wherever it is mounted, or nowhere.
fn root_cgroup() -> io::Result<OwnedFd> {
    const FSCONFIG_CMD_CREATE: libc::c_uint = 6;
    let none: *const libc::c_char = std::ptr::null();
    // SAFETY: the string has a zero at its end and outlives the call; the other calls take numbers and
    // null pointers. Each descriptor was just made for us.
    unsafe {
        let context = file(libc::syscall(libc::SYS_fsopen, c"cgroup2".as_ptr(), 0))?;
        let (number, command) = (context.as_raw_fd(), FSCONFIG_CMD_CREATE);
        let made = libc::syscall(libc::SYS_fsconfig, number, command, none, none, 0);
        if made < 0 {
            return Err(io::Error::last_os_error());
        }
        file(libc::syscall(libc::SYS_fsmount, number, 0, 0))
    }
}

/// The file that a system call returns, or its error.
///
/// # Safety
/// What it returns, if it is no error, is a descriptor that nobody else owns.
unsafe fn file(returned: libc::c_long) -> io::Result<OwnedFd> {
    match returned {
        // SAFETY: the caller answers for it.
        0.. => Ok(unsafe { OwnedFd::from_raw_fd(returned as i32) }),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Puts another program in a link's program's place; no packet passes between the two.
pub fn update_link(link: BorrowedFd<'_>, program: BorrowedFd<'_>) -> io::Result<()> {
    #[repr(C)]
    struct Attributes {
        link: i32,
        program: i32,
    }
    let mut attributes = Attributes {
        link: link.as_raw_fd(),
        program: program.as_raw_fd(),
    };
    // SAFETY: numbers only.
    unsafe { call(BPF_LINK_UPDATE, &mut attributes) }.map(drop)
}

/// Takes a link's program off its interface at once, whoever has the link open.
pub fn detach_link(link: BorrowedFd<'_>) -> io::Result<()> {
    let mut number = link.as_raw_fd();
    // SAFETY: a number only.
    unsafe { call(BPF_LINK_DETACH, &mut number) }.map(drop)
}

/// What the kernel says about a link.
pub fn link_info(link: BorrowedFd<'_>) -> io::Result<LinkInfo> {
    #[repr(C)]
    struct Attributes {
        link: i32,
        length: u32,
        info: u64,
    }
    let mut info = LinkInfo::default();
    let mut attributes = Attributes {
        link: link.as_raw_fd(),
        length: size_of::<LinkInfo>() as u32,
        info: (&raw mut info) as u64,
    };
    // SAFETY: the kernel writes at most `length` bytes to `info`, which has as many, takes any bit
    // pattern, and outlives the call.
    unsafe { call(BPF_OBJ_GET_INFO_BY_FD, &mut attributes) }?;
    Ok(info)
}

/// Gives an object a name in a BPF file system.
pub fn pin(object: BorrowedFd<'_>, path: &Path) -> io::Result<()> {
    let path = c_string(path)?;
    let mut attributes = PathAttributes {
        path: path.as_ptr() as u64,
        file: object.as_raw_fd(),
        flags: 0,
    };
    // SAFETY: `path` points to a string with a zero at its end, which outlives the call.
    unsafe { call(BPF_OBJ_PIN, &mut attributes) }.map(drop)
}

/// Opens a pinned object.
pub fn open_pin(path: &Path) -> io::Result<OwnedFd> {
    let path = c_string(path)?;
    let mut attributes = PathAttributes {
        path: path.as_ptr() as u64,
        file: 0,
        flags: 0,
    };
    // SAFETY: as in `pin`.
    unsafe { call_for_file(BPF_OBJ_GET, &mut attributes) }
}

/// Makes an array of one number. Whether the kernel allows it tells whether it allows BPF at all.
pub fn create_array() -> io::Result<OwnedFd> {
    create_map(BPF_MAP_TYPE_ARRAY, 4, 0, None)
}

/// Makes an array of one map like `inner`.
pub fn create_array_of_maps(inner: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    create_map(BPF_MAP_TYPE_ARRAY_OF_MAPS, 4, 0, Some(inner))
}

/// Makes an array of one value that can be mapped into memory.
pub fn create_table(value_size: u32) -> io::Result<OwnedFd> {
    create_map(BPF_MAP_TYPE_ARRAY, value_size, BPF_F_MMAPABLE, None)
}

/// Lets an open file's number stand for another file.
pub fn replace(file: BorrowedFd<'_>, by: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: both are open; the number stays open, and closes as before.
    match unsafe { libc::dup3(by.as_raw_fd(), file.as_raw_fd(), libc::O_CLOEXEC) } {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}

fn create_map(
    kind: u32,
    value_size: u32,
    flags: u32,
    inner: Option<BorrowedFd<'_>>,
) -> io::Result<OwnedFd> {
    #[repr(C)]
    struct Attributes {
        kind: u32,
        key_size: u32,
        value_size: u32,
        max_entries: u32,
        flags: u32,
        inner: i32,
    }
    let inner = inner.map_or(0, |inner| inner.as_raw_fd());
    let mut attributes = Attributes {
        kind,
        key_size: 4,
        value_size,
        max_entries: 1,
        flags,
        inner,
    };
    // SAFETY: numbers only.
    unsafe { call_for_file(BPF_MAP_CREATE, &mut attributes) }
}

/// Attributes of the commands that pin and open.
#[repr(C)]
struct PathAttributes {
    path: u64,
    file: i32,
    flags: u32,
}

fn c_string(path: &Path) -> io::Result<CString> {
    Ok(CString::new(path.as_os_str().as_bytes())?)
}

/// # Safety
/// Addresses in `attributes` point to what the command reads and writes there. `T` has no padding.
unsafe fn call<T>(command: libc::c_int, attributes: &mut T) -> io::Result<i32> {
    let size = size_of::<T>() as libc::c_uint;
    // SAFETY: the kernel reads and writes `size` bytes of `attributes`, which outlives the call;
    // the caller answers for what the attributes point to.
    let result = unsafe { libc::syscall(libc::SYS_bpf, command, &raw mut *attributes, size) };
    match result {
        0.. => Ok(result as i32),
        _ => Err(io::Error::last_os_error()),
    }
}

/// # Safety
/// As for [`call`]; the command returns a new file descriptor.
unsafe fn call_for_file<T>(command: libc::c_int, attributes: &mut T) -> io::Result<OwnedFd> {
    // SAFETY: the caller answers for it.
    let number = unsafe { call(command, attributes) }?;
    // SAFETY: the descriptor was just made for us.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}
