"""Drops whatever comes in by an interface, or sends it out of another, by XDP in the driver, until it is ended.

drop.py INTERFACE [OTHER]
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
HELPER_REDIRECT = 23
XDP_DRIVER = 1 << 2


def bpf(command, attributes):
    found = ctypes.CDLL(None, use_errno=True).syscall(BPF, command, attributes, len(attributes))
    if found < 0:
        sys.exit(f"bpf({command}): {os.strerror(ctypes.get_errno())}")
    return found


def instruction(code, register, value):
    return struct.pack("<BBhi", code, register, 0, value)


SET, CALL, EXIT = 0xB7, 0x85, 0x95
if len(sys.argv) == 2:
    instructions = [instruction(SET, 0, DROP)]
else:
    # r1 = the other interface; r2 = 0; bpf_redirect()
    other = socket.if_nametoindex(sys.argv[2])
    instructions = [instruction(SET, 1, other), instruction(SET, 2, 0), instruction(CALL, 0, HELPER_REDIRECT)]
instructions.append(instruction(EXIT, 0, 0))
program = ctypes.create_string_buffer(b"".join(instructions))
licence = ctypes.create_string_buffer(b"GPL")
where = ctypes.addressof(program), ctypes.addressof(licence)
loaded = bpf(PROG_LOAD, struct.pack("<IIQQIIQII16sII", PROG_TYPE_XDP, len(instructions), *where, 0, 0, 0, 0, 0, b"drop", 0, ATTACH_XDP))
link = bpf(LINK_CREATE, struct.pack("<IIII", loaded, socket.if_nametoindex(sys.argv[1]), ATTACH_XDP, XDP_DRIVER))
print("ready", flush=True)
signal.pause()
