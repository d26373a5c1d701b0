"""Gives the kernel's director packets by hand and writes down what it makes of each.

Runs in the oracle's guest, by ask.sh. The director is a network namespace with two interfaces; the
other ends of both links are here, and nobody answers for them. A transcript:

    # what is tried
    $ a command, in the director's namespace
    > client a frame that it is given, in hexadecimal
    < server a frame that comes out
"""
import select
import socket
import struct
import subprocess
import sys
import time

MAC = {
    "client": (bytes.fromhex("020000000040"), bytes.fromhex("020000000021")),
    "server": (bytes.fromhex("020000000139"), bytes.fromhex("020000000117")),
}
C4, V4, R4, D4, G4 = "172.16.10.40", "172.16.10.21", "192.168.100.39", "192.168.100.17", "192.168.100.254"
C6, V6, R6, D6, G6 = "fd00:10::40", "fd00:10::21", "fd00:100::39", "fd00:100::17", "fd00:100::fe"
TCP, UDP, ICMP, ICMP6 = 6, 17, 1, 58
SYN, ACK, PSH = 2, 16, 8
MSS = bytes.fromhex("020405b40402080a000000010000000001030307")


def total(data):
    if len(data) % 2:
        data += b"\0"
    s = sum(struct.unpack(">%dH" % (len(data) // 2), data))
    while s >> 16:
        s = (s & 0xFFFF) + (s >> 16)
    return s


def csum(data):
    return ~total(data) & 0xFFFF


def addr(a):
    return socket.inet_pton(socket.AF_INET6 if ":" in a else socket.AF_INET, a)


def pseudo(src, dst, proto, length):
    if ":" in src:
        return addr(src) + addr(dst) + struct.pack(">II", length, proto)
    return addr(src) + addr(dst) + struct.pack(">HH", proto, length)


def ip(src, dst, proto, payload, ttl=64, tos=0, df=True, mf=False, off=0, ident=0x1234, options=b"", ext=b""):
    if ":" in src:
        nxt, body = proto, payload
        if ext:
            nxt, chain = ext[0], ext[1:]
            body = chain + payload
        return struct.pack(">IHBB", 6 << 28 | tos << 20, len(body), nxt, ttl) + addr(src) + addr(dst) + body
    ihl = 5 + len(options) // 4
    frag = (0x4000 if df else 0) | (0x2000 if mf else 0) | off // 8
    head = struct.pack(">BBHHHBBH", 4 << 4 | ihl, tos, ihl * 4 + len(payload), ident, frag, ttl, proto, 0)
    head += addr(src) + addr(dst) + options
    head = head[:10] + struct.pack(">H", csum(head)) + head[12:]
    return head + payload


def tcp(src, sport, dst, dport, flags, data=b"", options=b"", seq=1000, ack=0):
    head = struct.pack(">HHIIBBHHH", sport, dport, seq, ack, (5 + len(options) // 4) << 4, flags, 4096, 0, 0) + options
    seg = head + data
    c = csum(pseudo(src, dst, TCP, len(seg)) + seg)
    return seg[:16] + struct.pack(">H", c) + seg[18:]


def udp(src, sport, dst, dport, data=b"", checked=True):
    seg = struct.pack(">HHHH", sport, dport, 8 + len(data), 0) + data
    c = csum(pseudo(src, dst, UDP, len(seg)) + seg) or 0xFFFF
    return seg[:6] + struct.pack(">H", c if checked else 0) + seg[8:]


def icmp(src, dst, kind, code, word, body):
    message = struct.pack(">BBHI", kind, code, 0, word) + body
    c = csum(pseudo(src, dst, ICMP6, len(message)) + message if ":" in src else message)
    return message[:2] + struct.pack(">H", c) + message[4:]


def error(src, dst, kind, code, word, quoted, **more):
    proto = ICMP6 if ":" in src else ICMP
    return ip(src, dst, proto, icmp(src, dst, kind, code, word, quoted), df=False, **more)


def fill(n):
    return bytes((i * 7 + 1) & 0xFF for i in range(n))


class Probe:
    port = 20000

    def __init__(self, path):
        self.out = open(path, "w")
        self.sockets = {}
        for end in MAC:
            s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
            s.bind((end, 0))
            s.setblocking(False)
            self.sockets[end] = s

    def say(self, text):
        self.out.write("# %s\n" % text)

    def do(self, *commands):
        for command in commands:
            self.out.write("$ %s\n" % command)
            self.quietly(command)

    def quietly(self, command):
        subprocess.run(["ip", "netns", "exec", "director", "sh", "-c", command], check=True)

    def flow(self):
        Probe.port += 1
        return Probe.port

    def drain(self, wait):
        found = []
        end = time.monotonic() + wait
        while True:
            left = end - time.monotonic()
            if left <= 0:
                return found
            ready, _, _ = select.select(list(self.sockets.values()), [], [], left)
            for name, s in self.sockets.items():
                if s not in ready:
                    continue
                frame, where = s.recvfrom(65535)
                if where[2] == 4:  # PACKET_OUTGOING: our own
                    continue
                if frame[12:14] == b"\x08\x06":
                    continue
                if frame[12:14] == b"\x86\xdd" and frame[20] == 58 and 133 <= frame[54] <= 137 or frame[12:14] == b"\x86\xdd" and frame[20] == 0 and frame[54] == 58:
                    continue
                found.append((name, frame))

    def give(self, end, packet, what=None):
        """Sends an IP packet; returns what came out, the frames at both ends."""
        self.drain(0.005)
        own, director = MAC[end]
        kind = b"\x86\xdd" if packet[0] >> 4 == 6 else b"\x08\x00"
        frame = director + own + kind + packet
        if what:
            self.out.write("= %s\n" % what)
        self.out.write("> %s %s\n" % (end, frame.hex()))
        self.sockets[end].send(frame)
        found = self.drain(0.12)
        for name, got in found:
            self.out.write("< %s %s\n" % (name, got.hex()))
        self.out.flush()
        return [(name, got[14:]) for name, got in found]


ERRORS4 = [(3, 1, 0), (3, 3, 0), (3, 4, 1000), (11, 0, 0), (4, 0, 0), (12, 0, 0), (5, 1, 0x01020304)]
ERRORS6 = [(1, 4, 0), (1, 3, 0), (2, 0, 1300), (3, 0, 0), (4, 0, 0)]
HOP_BY_HOP = bytes([0]) + bytes([60, 0, 1, 4, 0, 0, 0, 0]) + bytes([TCP, 0, 1, 4, 0, 0, 0, 0])
# next header 0 (hop-by-hop), then destination options, then TCP.


def forwards(p, client, vip, big, what=""):
    """A client's packets to port 80 and 53, of every kind."""
    v6 = ":" in client
    port = p.flow()
    g = lambda seg, proto=TCP, **more: p.give("client", ip(client, vip, proto, seg, **{k: v for k, v in more.items() if k != "say"}), more.get("say"))
    first = g(tcp(client, port, vip, 80, SYN, options=MSS), say="syn")
    for tos in [0x28, 0x29, 0x2A, 0x2B, 0x03]:
        g(tcp(client, port, vip, 80, ACK | PSH, b"hello", ack=1), tos=tos, say="tos %#x" % tos)
    g(tcp(client, port, vip, 80, ACK, fill(101), ack=1), df=False, say="may be fragmented")
    g(tcp(client, port, vip, 80, ACK, b"x", ack=1), ttl=2, say="ttl 2")
    g(tcp(client, port, vip, 80, ACK, b"x", ack=1), ttl=255, say="ttl 255")
    g(tcp(client, port, vip, 80, ACK, b"x", ack=1), ttl=1, say="ttl 1")
    if v6:
        g(tcp(client, port, vip, 80, ACK, b"ext", ack=1), ext=HOP_BY_HOP, say="hop-by-hop and destination options")
    else:
        g(tcp(client, port, vip, 80, ACK, b"opt", ack=1), options=b"\1\1\1\0", say="ip options")
    g(udp(client, port, vip, 53, b"query"), UDP, say="udp")
    g(udp(client, port, vip, 53, fill(64)), UDP, df=False, say="udp, may be fragmented")
    if not v6:
        g(udp(client, port, vip, 53, b"query", checked=False), UDP, say="udp without checksum")
    for size in big:
        room = size - (60 if v6 else 40)
        g(tcp(client, port, vip, 80, ACK, fill(room), ack=1), say="%d bytes" % size)
    return port, first


def errors_of_client(p, client, vip, port):
    """A client's errors about replies."""
    v6 = ":" in client
    reply = ip(vip, client, TCP, tcp(vip, 80, client, port, ACK, fill(40), ack=1), ttl=60)
    for kind, code, word in ERRORS6 if v6 else ERRORS4:
        p.give("client", error(client, vip, kind, code, word, reply), "error %d %d of the client" % (kind, code))
    if not v6:
        p.give("client", error(client, vip, 3, 3, 0, reply[:28]), "error of the client, the least")
    p.give("client", error("fd00:10::99" if v6 else "172.16.10.99", vip, *((1, 3, 0) if v6 else (3, 1, 0)), reply), "error of a router")
    p.give("client", error(client, vip, *((1, 4, 0) if v6 else (3, 3, 0)), reply, ttl=1), "error with ttl 1")
    datagram = ip(vip, client, UDP, udp(vip, 53, client, port, b"answer"), ttl=60)
    p.give("client", error(client, vip, *((1, 4, 0) if v6 else (3, 3, 0)), datagram), "error about udp")
    strange = ip(vip, client, TCP, tcp(vip, 80, client, 9, ACK, b"", ack=1), ttl=60)
    p.give("client", error(client, vip, *((1, 4, 0) if v6 else (3, 3, 0)), strange), "error about no connection")


def set_up(p, name, vip, rip, how, rport="80", tcp_service="", udp_service=""):
    b = lambda a: "[%s]" % a if ":" in a else a
    p.say(name)
    p.do("ipvsadm -C")
    for proto, port, service in [("t", "80", tcp_service), ("u", "53", udp_service)]:
        r = "8080" if port == "80" and rport != "80" else port
        p.do(("ipvsadm -A -%s %s:%s -s rr %s" % (proto, b(vip), port, service)).strip())
        p.do("ipvsadm -a -%s %s:%s -r %s:%s %s" % (proto, b(vip), port, b(rip), r, how))


# A link too narrow for IPv6 loses its addresses and neighbours.
AGAIN = {
    "eth0": ["ip addr replace fd00:10::21/64 dev eth0 nodad"]
    + ["ip neigh replace fd00:10::%s lladdr 02:00:00:00:00:40 dev eth0 nud permanent" % a for a in ["40", "99"]],
    "eth1": ["ip addr replace fd00:100::17/64 dev eth1 nodad"]
    + ["ip neigh replace fd00:100::%s lladdr 02:00:00:00:01:39 dev eth1 nud permanent" % a for a in ["39", "fe"]],
}


def mtu(p, end, value):
    p.do("ip link set %s mtu %d" % (end, value))
    flush(p)
    if value >= 1280:
        for command in AGAIN[end]:
            p.quietly(command)


def flush(p):
    """Forgets what was learned of the MTUs of paths."""
    p.quietly("ip route flush cache; ip -6 route flush cache")


def nat(p, client, vip, rip, gate):
    v6 = ":" in client
    wide, narrow = (1400, 1300) if v6 else (600, 500)
    set_up(p, "nat", vip, rip, "-m", "8080")
    mtu(p, "eth1", wide)
    port, first = forwards(p, client, vip, [wide, wide + 1])
    sent = first[0][1]
    back = lambda seg, say, proto=TCP, **more: p.give("server", ip(rip, client, proto, seg, **more), say)
    back(tcp(rip, 8080, client, port, SYN | ACK, options=MSS, ack=1001), "syn+ack")
    back(tcp(rip, 8080, client, port, ACK | PSH, b"odd", ack=1001), "reply, tos", tos=0x2B)
    back(tcp(rip, 8080, client, port, ACK, b"x", ack=1001), "reply, ttl 2", ttl=2)
    back(tcp(rip, 8080, client, port, ACK, b"x", ack=1001), "reply, ttl 1", ttl=1)
    back(udp(rip, 53, client, port, b"answer"), "udp reply", UDP)
    if not v6:
        back(udp(rip, 53, client, port, b"answer", checked=False), "udp reply without checksum", UDP)
        back(tcp(rip, 8080, client, port, ACK, b"opt", ack=1001), "reply with ip options", options=b"\1\1\1\0")
    else:
        back(tcp(rip, 8080, client, port, ACK, b"ext", ack=1001), "reply with extensions", ext=HOP_BY_HOP)
    back(tcp(rip, 8080, client, 9, ACK, b"x", ack=1001), "reply of no connection")
    mtu(p, "eth0", narrow)
    size = narrow - (60 if v6 else 40)
    back(tcp(rip, 8080, client, port, ACK, fill(size), ack=1001), "reply that fits")
    back(tcp(rip, 8080, client, port, ACK, fill(size + 1), ack=1001), "reply that does not fit")
    mtu(p, "eth0", 1500)
    errors_of_client(p, client, vip, port)
    for kind, code, word in ERRORS6 if v6 else ERRORS4:
        p.give("server", error(rip, client, kind, code, word, sent), "error %d %d of the server" % (kind, code))
    if not v6:
        p.give("server", error(rip, client, 3, 3, 0, sent[:28]), "error of the server, the least")
    for kind, code, word in [(2, 0, 1290), (1, 3, 0), (3, 0, 0)] if v6 else [(3, 4, 550), (3, 1, 0), (11, 0, 0)]:
        p.give("server", error(gate, client, kind, code, word, sent), "error %d %d of a router behind" % (kind, code))
    p.give("server", error(rip, client, *((1, 4, 0) if v6 else (3, 3, 0)), sent, ttl=1), "error of the server with ttl 1")
    p.do("sysctl -w net.ipv4.vs.nat_icmp_send=1")
    back(tcp(rip, 8080, client, 9, ACK, b"x", ack=1001), "reply of no connection, nat_icmp_send")
    back(tcp(rip, 8080, client, 9, 4, b"", ack=1001), "reset of no connection, nat_icmp_send")
    back(udp(rip, 53, client, 9, b"answer"), "datagram of no connection, nat_icmp_send", UDP)
    back(udp(rip, 54, client, 9, b"answer"), "datagram of no server, nat_icmp_send", UDP)
    p.do("sysctl -w net.ipv4.vs.nat_icmp_send=0")
    mtu(p, "eth1", 1500)


def direct(p, client, vip, rip):
    v6 = ":" in client
    wide = 1400 if v6 else 600
    set_up(p, "direct routing", vip, rip, "-g")
    mtu(p, "eth1", wide)
    port, _ = forwards(p, client, vip, [wide, wide + 1])
    errors_of_client(p, client, vip, port)
    p.give("server", ip(vip, client, TCP, tcp(vip, 80, client, port, SYN | ACK, ack=1001)), "reply through the director")
    mtu(p, "eth1", 1500)


OVERHEAD = {"ipip": 0, "gre": 4, "gre --tun-csum": 8, "gue --tun-port 6080": 12, "gue --tun-port 6080 --tun-csum": 12,
            "gue --tun-port 6080 --tun-remcsum": 12}


def tunnel(p, client, vip, rip, own, gate, kind):
    v6, outer6 = ":" in client, ":" in rip
    wide = 1500 if v6 or outer6 else 600
    most = wide - (40 if outer6 else 20) - OVERHEAD[kind]
    set_up(p, "tunnel %s, %s in %s" % (kind, "6" if v6 else "4", "6" if outer6 else "4"), vip, rip, "-i --tun-type " + kind)
    mtu(p, "eth1", wide)
    port, first = forwards(p, client, vip, [most, most + 1])
    errors_of_client(p, client, vip, port)
    if not v6:
        p.do("sysctl -w net.ipv4.vs.pmtu_disc=0")
        g = lambda size, df, say: p.give("client", ip(client, vip, TCP, tcp(client, port, vip, 80, ACK, fill(size - 40), ack=1), df=df), say)
        g(most, True, "pmtu_disc 0, fits")
        g(most + 1, True, "pmtu_disc 0, does not fit")
        p.do("sysctl -w net.ipv4.vs.pmtu_disc=1")
        g(most, False, "may be fragmented, fits")
        g(most + 1, False, "may be fragmented, does not fit")
    mtu(p, "eth1", 1500)

    def again():
        flush(p)
        packet = ip(client, vip, TCP, tcp(client, port, vip, 80, ACK, fill(200), ack=1))
        return p.give("client", packet, "a packet that routers complain of")

    sent = again()[0][1]
    for k, code, word in [(2, 0, 1400), (1, 0, 0), (1, 4, 0), (3, 0, 0)] if outer6 else [(3, 4, 1400 if v6 else 1000), (3, 4, 400), (3, 1, 0), (3, 3, 0), (3, 2, 0), (11, 0, 0), (4, 0, 0), (12, 0, 0)]:
        again()
        p.give("server", error(gate, own, k, code, word, sent), "error %d %d %d of a router about the outer packet" % (k, code, word))
    if not outer6:
        again()
        p.give("server", error(gate, own, 3, 4, 1400 if v6 else 1000, sent[:60]), "short error about the outer packet")


def scheduled(p, client, vip, rip, how, **service):
    """Errors that belong to no connection."""
    v6 = ":" in client
    set_up(p, "schedule_icmp, " + how, vip, rip, how, **service)
    p.do("sysctl -w net.ipv4.vs.schedule_icmp=1")
    for port, proto in [(80, TCP), (53, UDP), (81, TCP)]:
        there = p.flow()
        segment = tcp(vip, port, client, there, ACK, b"data", ack=1) if proto == TCP else udp(vip, port, client, there, b"answer")
        reply = ip(vip, client, proto, segment, ttl=60)
        p.give("client", error(client, vip, *((2, 0, 1300) if v6 else (3, 4, 1000)), reply), "about port %d" % port)
        p.give("client", error(client, vip, *((2, 0, 1300) if v6 else (3, 4, 1000)), reply), "again")
        back = tcp(client, there, vip, port, ACK, b"data", ack=1) if proto == TCP else udp(client, there, vip, port, b"query")
        p.give("client", ip(client, vip, proto, back), "the client's own packet")
        p.give("client", error("fd00:10::99" if v6 else "172.16.10.99", vip, *((3, 0, 0) if v6 else (11, 0, 0)), reply), "error of a router")
    p.do("sysctl -w net.ipv4.vs.schedule_icmp=0")


def alone(p, client, vip, rip):
    """Services without destination, and ICMP that is no error."""
    v6 = ":" in client
    set_up(p, "nobody there", vip, rip, "-m -w 0")
    port = p.flow()
    p.give("client", ip(client, vip, TCP, tcp(client, port, vip, 80, SYN, options=MSS)), "syn")
    p.give("client", ip(client, vip, UDP, udp(client, port, vip, 53, fill(700)), tos=0x28), "a long datagram")
    kind, proto = (128, ICMP6) if v6 else (8, ICMP)
    p.give("client", ip(client, vip, proto, icmp(client, vip, kind, 0, 0x10001, b"ping")), "echo")
    if not v6:
        for kind in [13, 17]:
            p.give("client", ip(client, vip, proto, icmp(client, vip, kind, 0, 0x10001, bytes(12))), "query %d" % kind)


def main(out):
    p = Probe(out + "/nat.txt")
    nat(p, C4, V4, R4, G4)
    nat(p, C6, V6, R6, G6)
    alone(p, C4, V4, R4)
    alone(p, C6, V6, R6)
    p = Probe(out + "/direct.txt")
    direct(p, C4, V4, R4)
    direct(p, C6, V6, R6)
    for c, v, cn in [(C4, V4, "4"), (C6, V6, "6")]:
        for r, d, g, rn in [(R4, D4, G4, "4"), (R6, D6, G6, "6")]:
            p = Probe(out + "/tunnel-%s-in-%s.txt" % (cn, rn))
            for kind in OVERHEAD:
                tunnel(p, c, v, r, d, g, kind)
    p = Probe(out + "/scheduled.txt")
    for how in ["-m", "-g", "-i"]:
        scheduled(p, C4, V4, R4, how)
        scheduled(p, C6, V6, R6, how)
    for c, v, r in [(C4, V4, R4), (C6, V6, R6)]:
        scheduled(p, c, v, r, "-m -w 0")
        scheduled(p, c, v, r, "-m", tcp_service="-p 60", udp_service="-p 60")
        scheduled(p, c, v, r, "-m", udp_service="-o")


main(sys.argv[1])
