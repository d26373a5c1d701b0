"""Sends TCP segments from an interface and prints how long each took, in nanoseconds.

send.py INTERFACE DESTINATION-MAC FLAGS FLOWS FROM TO COUNT

FROM and TO are ADDRESS:PORT. Flow i is of address FROM + i % 100 and port + i / 100.
"""
import errno
import fcntl
import ipaddress
import socket
import struct
import sys
import time

SOL_PACKET, PACKET_QDISC_BYPASS = 263, 20
SIOCGIFHWADDR = 0x8927
ADDRESSES = 100


def checksum(data):
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    total = (total & 0xFFFF) + (total >> 16)
    return ~(total + (total >> 16)) & 0xFFFF


def end(text):
    address, port = text.rsplit(":", 1)
    return int(ipaddress.IPv4Address(address)), int(port)


def segment(macs, source, target, flags):
    """RFC 791 section 3.1, RFC 9293 section 3.1; 18 bytes of payload unless it opens a connection."""
    payload = b"" if flags == 2 else bytes(18)
    length = 20 + len(payload)
    header = struct.pack("!BBHHHBBHII", 0x45, 0, 20 + length, 0, 0, 64, 6, 0, source[0], target[0])
    header = header[:10] + struct.pack("!H", checksum(header)) + header[12:]
    tcp = struct.pack("!HHIIBBHHH", source[1], target[1], 1, 1, 5 << 4, flags, 4096, 0, 0) + payload
    pseudo = struct.pack("!IIHH", source[0], target[0], 6, length)
    tcp = tcp[:16] + struct.pack("!H", checksum(pseudo + tcp)) + tcp[18:]
    return macs + b"\x08\x00" + header + tcp


def main(interface, mac, flags, flows, source, target, count):
    sender = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    sender.bind((interface, 0))
    sender.setsockopt(SOL_PACKET, PACKET_QDISC_BYPASS, 1)
    own = fcntl.ioctl(sender, SIOCGIFHWADDR, struct.pack("256s", interface.encode()))[18:24]
    macs = bytes.fromhex(mac.replace(":", "")) + own
    source, target = end(source), end(target)
    frames = []
    for flow in range(int(flows)):
        address, port = source[0] + flow % ADDRESSES, source[1] + flow // ADDRESSES
        frames.append(segment(macs, (address, port), target, int(flags)))
    rounds, send = int(count) // len(frames), sender.send
    begin = time.perf_counter_ns()
    for _ in range(rounds):
        for frame in frames:
            try:
                send(frame)
            except OSError as error:
                # The ring of the other end is full: it is given time to empty it.
                if error.errno != errno.ENOBUFS:
                    raise
                time.sleep(0.001)
                send(frame)
    print((time.perf_counter_ns() - begin) // (rounds * len(frames)))


main(*sys.argv[1:])
