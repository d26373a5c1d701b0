#!/usr/bin/env python3
"""Writes maglev.csv: who gets a client, by a second implementation that shares nothing with the
crate's. The paper's pseudocode (section 3.4) with whole permutations, and SipHash-1-3 as its
authors describe it."""

import ipaddress
import random
import struct

SLOTS = 65537
MASK = (1 << 64) - 1
CLIENT = (0x243F6A8885A308D3, 0x13198A2E03707344)
OFFSET = (0xA4093822299F31D0, 0x082EFA98EC4E6C89)
SKIP = (0x452821E638D01377, 0xBE5466CF34E90C6C)


def siphash13(key, message):
    v0, v1, v2, v3 = (k ^ int.from_bytes(c, "big") for k, c in zip(
        key * 2, (b"somepseu", b"dorandom", b"lygenera", b"tedbytes")))

    def rotate(x, n):
        return (x << n | x >> (64 - n)) & MASK

    def step():
        nonlocal v0, v1, v2, v3
        v0 = (v0 + v1) & MASK; v1 = rotate(v1, 13) ^ v0; v0 = rotate(v0, 32)
        v2 = (v2 + v3) & MASK; v3 = rotate(v3, 16) ^ v2
        v0 = (v0 + v3) & MASK; v3 = rotate(v3, 21) ^ v0
        v2 = (v2 + v1) & MASK; v1 = rotate(v1, 17) ^ v2; v2 = rotate(v2, 32)

    padded = message + bytes(7 - len(message) % 8) + bytes([len(message) & 255])
    for (word,) in struct.iter_unpack("<Q", padded):
        v3 ^= word
        step()
        v0 ^= word
    v2 ^= 0xFF
    step(); step(); step()
    return v0 ^ v1 ^ v2 ^ v3


def name(ip, port, number=0):
    packed = ip.packed + bytes(16 - len(ip.packed))
    return struct.pack("<4IHH", *struct.unpack(">4I", packed), port, number)


def table(servers):
    order = sorted((i for i, s in enumerate(servers) if s[2] > 0),
                   key=lambda i: (servers[i][0].packed, servers[i][1]))
    greatest = max(s[2] for s in servers)
    wishes, turns = {}, dict.fromkeys(order, 0)
    for i in order:
        end = name(*servers[i][:2])
        offset, skip = siphash13(OFFSET, end) % SLOTS, siphash13(SKIP, end) % (SLOTS - 1) + 1
        wishes[i] = iter([(offset + j * skip) % SLOTS for j in range(SLOTS)])
    entry, filled, rounds = [None] * SLOTS, 0, 0
    while True:
        for i in order:
            # The n-th turn comes in the first round in which weight * rounds has reached
            # (n - 1) * greatest, the first round being the 0th.
            if rounds * servers[i][2] < turns[i] * greatest:
                continue
            turns[i] += 1
            slot = next(s for s in wishes[i] if entry[s] is None)
            entry[slot] = i
            filled += 1
            if filled == SLOTS:
                return entry
        rounds += 1


def main():
    chance = random.Random(65537)
    print("servers,attempt,clients,picks")
    pools = [("192.168.100.39:80/1 192.168.100.23:80/1 192.168.100.31:80/1", 4),
             ("10.0.0.9:80/3 10.0.0.9:81/1 10.0.0.2:80/0 10.0.0.3:443/7", 4),
             ("10.1.0.1:8080/100 10.1.0.2:8080/1 10.1.0.3:8080/1000000", 4),
             ("[fd00:100::39]:80/2 [fd00:100::23]:80/3 [fd00:100::31]:80/1", 6)]
    for text, family in pools:
        servers = []
        for server in text.split():
            end, weight = server.split("/")
            host, port = end.rsplit(":", 1)
            servers.append((ipaddress.ip_address(host.strip("[]")), int(port), int(weight)))
        entry = table(servers)
        for attempt in (0, 1, 7):
            clients, picks = [], []
            for _ in range(40):
                kind = ipaddress.IPv4Address if family == 4 else ipaddress.IPv6Address
                ip, port = kind(chance.getrandbits(32 if family == 4 else 128)), chance.randrange(65536)
                clients.append(f"{ip}:{port}" if family == 4 else f"[{ip}]:{port}")
                picks.append(str(entry[siphash13(CLIENT, name(ip, port, attempt)) % SLOTS]))
            print(text, attempt, " ".join(clients), " ".join(picks), sep=",")


main()
