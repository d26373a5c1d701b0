#!/usr/bin/env python3
"""A keepalived.conf with many virtual servers: SERVERS REAL_SERVERS DELAY_LOOP WEIGHT.

WEIGHT is that of the very last real server; all others have 1."""
import sys

servers, real_servers, delay = (int(word) for word in sys.argv[1:4])
last = sys.argv[4]
print("global_defs {\n    script_user root\n}")
for server in range(servers):
    print(f"virtual_server 172.20.{server // 250}.{server % 250 + 1} 80 {{")
    print(f"    delay_loop {delay}\n    lb_algo wrr\n    lb_kind NAT\n    protocol TCP")
    for real in range(real_servers):
        is_last = (server, real) == (servers - 1, real_servers - 1)
        print(f"    real_server 10.{server // 250}.{server % 250 + 1}.{real + 1} 80 {{")
        print(f"        weight {last if is_last else 1}")
        print("        TCP_CHECK {\n            connect_timeout 3\n        }\n    }")
    print("}")
