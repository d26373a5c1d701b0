#!/usr/bin/env python3
"""All real servers at once: accepts on every address of this host, says who it is, closes."""
import socket

listener = socket.socket()
listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
listener.bind(("0.0.0.0", 80))
listener.listen(65535)
while True:
    connection, _ = listener.accept()
    try:
        connection.send(b"HTTP/1.0 200 OK\r\n\r\n")
    except OSError:
        pass
    connection.close()
