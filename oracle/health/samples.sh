#!/bin/bash
# What keepalived makes of configuration files: for each its services, as `ipvsadm -Sn' lists them before any
# check has run. The files are beside this script.
set -euo pipefail
here=$(dirname "$(readlink -f "$0")")
modprobe ip_vs
ip link set lo up
for file in "$here"/keepalived.conf.*; do
    ipvsadm -C
    keepalived -n -G -C -i high -f "$file" >/dev/null 2>&1 &
    # The first start takes longer; some files have no services.
    for _ in $(seq 20); do
        sleep 0.1
        [ -z "$(ipvsadm -Sn)" ] || break
    done
    sleep 0.2
    echo "# $(basename "$file")"
    ipvsadm -Sn
    kill -9 $(pgrep keepalived) 2>/dev/null || true
    wait 2>/dev/null || true
done
