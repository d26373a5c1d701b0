"""Plays cases to the kernel's IPVS: play.py CASES ANSWERS.

A line of CASES is a step; `case` begins another case, in a network namespace of its own:

    ipvsadm WORDS           the command
    set NAME=VALUE          a setting under net.ipv4.vs
    clients HEX             a frame arrives from the clients' side
    servers HEX             a frame arrives from the servers' side
    wait SECONDS
    count                   what ipvsadm counts is told as well, after a while

An answer to a step begins with `step`. Then, as far as there are any, a line each: `refused` and what ipvsadm said,
`clients HEX` and `servers HEX` for frames that left, `up` for a packet that the director's own stack got,
`table LINE` of /proc/net/ip_vs, `connection LINE` of /proc/net/ip_vs_conn, `stats LINE` and `persistent LINE` of
ipvsadm's listings. A case that could not be played ends in `failed` and why.

Sent frames are handled before the call that sends them returns, so that little has to be waited for.
"""

import os
import socket
import subprocess
import sys
import time

ETH_P_ALL, CLONE_NEWNET, SOL_PACKET, PACKET_IGNORE_OUTGOING = 3, 0x40000000, 263, 23
QUIET = 0.01  # seconds after which nothing more comes, and what ends at once has ended
UNTIL_COUNTED = 3  # seconds; the kernel adds up what it counted every two
HERE = os.path.dirname(os.path.abspath(__file__))


def write(path, text):
    with open(path, "w") as file:
        file.write(text)


def lines(path):
    with open(path) as file:
        return file.read().splitlines()


def link(name):
    """Frames of the far end of one of the director's interfaces."""
    end = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
    end.setsockopt(SOL_PACKET, PACKET_IGNORE_OUTGOING, 1)
    end.bind((name, 0))
    end.setblocking(False)
    return end


def received(end):
    frames = []
    while True:
        try:
            frames.append(end.recv(65536))
        except BlockingIOError:
            return frames


class Director:
    """This process's namespace becomes a director's."""

    def __init__(self, number, answers):
        import ctypes

        self.answers = answers
        libc = ctypes.CDLL(None, use_errno=True)
        assert libc.unshare(CLONE_NEWNET) == 0
        names = {"clients": f"c{number}", "servers": f"s{number}"}
        with open(f"{HERE}/network") as file:
            network = file.read().format(**names)
        subprocess.run(["ip", "-batch", "-"], input=network, text=True, check=True)
        for setting in ["ip_forward=1", "icmp_ratelimit=0", "conf/all/rp_filter=0", "conf/default/rp_filter=0",
                        "conf/eth0/rp_filter=0", "conf/eth1/rp_filter=0", "conf/all/send_redirects=0",
                        "conf/eth0/send_redirects=0", "conf/eth1/send_redirects=0"]:
            name, value = setting.split("=")
            write(f"/proc/sys/net/ipv4/{name}", value)
        kinds = [socket.IPPROTO_TCP, socket.IPPROTO_UDP]
        self.stack = [socket.socket(socket.AF_INET, socket.SOCK_RAW, kind) for kind in kinds]
        for listener in self.stack:
            listener.setblocking(False)
        inside = os.open("/proc/self/ns/net", os.O_RDONLY)
        outside = os.open("/proc/1/ns/net", os.O_RDONLY)
        assert libc.setns(outside, CLONE_NEWNET) == 0
        for name in names.values():
            write(f"/proc/sys/net/ipv6/conf/{name}/disable_ipv6", "1")
            subprocess.run(["ip", "link", "set", name, "up"], check=True)
        self.ends = {end: link(name) for end, name in names.items()}
        assert libc.setns(inside, CLONE_NEWNET) == 0
        time.sleep(0.05)
        self.collect(False)

    def tell(self, *words):
        self.answers.write(" ".join(words) + "\n")

    def collect(self, is_told=True):
        time.sleep(QUIET)
        for name, end in self.ends.items():
            for frame in received(end):
                if is_told:
                    self.tell(name, frame.hex())
        for listener in self.stack:
            for _ in received(listener):
                if is_told:
                    self.tell("up")

    def ipvsadm(self, words):
        done = subprocess.run(["ipvsadm", *words], capture_output=True, text=True)
        if done.returncode:
            self.tell("refused", done.stderr.strip().replace("\n", " "))
        return done.stdout.splitlines()

    def play(self, step):
        self.tell("step")
        verb, *words = step.split()
        if verb == "ipvsadm":
            self.ipvsadm(words)
        elif verb == "set":
            name, value = words[0].split("=")
            write(f"/proc/sys/net/ipv4/vs/{name}", value)
        elif verb in self.ends:
            self.ends[verb].send(bytes.fromhex(words[0]))
        elif verb == "wait":
            time.sleep(int(words[0]))
        elif verb == "count":
            time.sleep(UNTIL_COUNTED)
        else:
            raise ValueError(f"there is no step {verb}")
        self.collect()
        for line in lines("/proc/self/net/ip_vs")[3:]:
            self.tell("table", line)
        for line in lines("/proc/self/net/ip_vs_conn")[1:]:
            self.tell("connection", line)
        if verb == "count":
            for line in self.ipvsadm(["-Ln", "--stats", "--exact"])[3:]:
                self.tell("stats", line)
            for line in self.ipvsadm(["-Ln", "--persistent-conn"])[3:]:
                self.tell("persistent", line)


def play(number, case, answers):
    """In a process of its own, which ends with its namespace."""
    child = os.fork()
    if child:
        os.waitpid(child, 0)
        return
    try:
        director = Director(number, answers)
        for step in case:
            director.play(step)
    except Exception as error:
        answers.write(f"failed {type(error).__name__}: {error}\n")
    answers.flush()
    os._exit(0)


def main():
    cases = []
    with open(sys.argv[1]) as file:
        for line in file.read().splitlines():
            if line.split(" ")[0] == "case":
                cases.append((line, []))
            elif line:
                cases[-1][1].append(line)
    with open(sys.argv[2], "w") as answers:
        for number, (title, case) in enumerate(cases):
            answers.write(title + "\n")
            answers.flush()
            play(number, case, answers)


main()
