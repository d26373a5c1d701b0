"""Drops whatever comes in by an interface, by XDP in the driver, until it is ended.

drop.py INTERFACE
"""
import ctypes
import os
import signal
import socket
import struct
import sys

# linux/bpf.h, and the system call's number on x86-64.
BPF, PROG_LOAD, LINK_CREATE = 321, 5, 28
PROG_TYPE_XDP, ATTACH_XDP, DROP = 6, 37, 1
XDP_DRIVER = 1 << 2


def bpf(command, attributes):
    found = ctypes.CDLL(None, use_errno=True).syscall(BPF, command, attributes, len(attributes))
    if found < 0:
        sys.exit(f"bpf({command}): {os.strerror(ctypes.get_errno())}")
    return found


# r0 = XDP_DROP; exit
program = ctypes.create_string_buffer(struct.pack("<BBhi", 0xB7, 0, 0, DROP) + struct.pack("<BBhi", 0x95, 0, 0, 0))
licence = ctypes.create_string_buffer(b"GPL")
where = ctypes.addressof(program), ctypes.addressof(licence)
loaded = bpf(PROG_LOAD, struct.pack("<IIQQIIQII16sII", PROG_TYPE_XDP, 2, *where, 0, 0, 0, 0, 0, b"drop", 0, ATTACH_XDP))
link = bpf(LINK_CREATE, struct.pack("<IIII", loaded, socket.if_nametoindex(sys.argv[1]), ATTACH_XDP, XDP_DRIVER))
print("ready", flush=True)
signal.pause()
