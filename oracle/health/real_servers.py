#!/usr/bin/env python3
"""All real servers at once: accepts on every address of this host, says who it is, closes."""
import os
import socket

listener = socket.socket()
listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
listener.bind(("0.0.0.0", 80))
listener.listen(65535)
# Without an object for each connection, which would cost more than the checks that are measured.
accept, write, close = listener._accept, os.write, os.close
while True:
    connection, _ = accept()
    try:
        write(connection, b"HTTP/1.0 200 OK\r\n\r\n")
    except OSError:
        pass
    close(connection)
