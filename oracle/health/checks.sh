#!/bin/bash
# How well checks keep their schedule of one second: DIRECTOR (keepalived or the path of xvs) VIRTUAL_SERVERS
# REAL_SERVERS SECONDS. Prints lateness, processor time and memory.
set -euo pipefail
here=$(dirname "$(readlink -f "$0")")
. "$here/network.sh"
director=$1 servers=$2 real_servers=$3 seconds=$4
[ "$director" = keepalived ] || [ -x "$director" ] || director=$here/$director
work=$(mktemp -d)
network
python3 "$here/configuration.py" "$servers" "$real_servers" 1 1 >"$work/conf"
director "$director" "$work/conf"
# Every check has run, and servers that were there from the start are known.
sleep 10
before=$(ticks)
timeout "$seconds" ip netns exec "$rs" tcpdump -i eth0 -n -tt -s 80 -B 65536 -w "$work/pcap" \
    'dst net 10.0.0.0/8 and tcp[tcpflags] & (tcp-syn|tcp-ack) == tcp-syn' 2>"$work/tcpdump" || true
used=$(($(ticks) - before))
grep 'dropped by kernel' "$work/tcpdump" || true
echo "$(basename "$director"), $servers x $real_servers: processor $(awk "BEGIN {print $used / $seconds}") % of one," \
    "memory $(($(memory) / 1024)) MiB"
tcpdump -n -tt -r "$work/pcap" 2>/dev/null | python3 "$here/lateness.py"
