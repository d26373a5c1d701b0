#!/usr/bin/env python3
"""One request after the other to 172.20.0.1:80 until it is told to end; then how they went."""
import signal
import socket
import time

running = True


def end(*_):
    global running
    running = False


signal.signal(signal.SIGTERM, end)
good, bad, slowest = 0, 0, 0.0
while running:
    began = time.monotonic()
    try:
        with socket.create_connection(("172.20.0.1", 80), 3) as connection:
            good += connection.recv(100).startswith(b"HTTP/1.0 200")
    except OSError:
        bad += 1
    slowest = max(slowest, time.monotonic() - began)
    time.sleep(0.001)
print(f"requests {good}  failed {bad}  slowest {slowest * 1e3:.1f} ms", flush=True)
