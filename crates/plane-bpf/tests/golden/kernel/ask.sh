#!/bin/bash
# In the oracle's guest: a director between two links whose other ends probe.py holds.
set -e
modprobe ip_vs; modprobe ip_vs_rr
ip netns add director
d() { ip netns exec director "$@"; }
d ip link set lo up
d sysctl -qw net.ipv6.conf.all.accept_dad=0 net.ipv6.conf.default.accept_dad=0 net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.default.rp_filter=0
d sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1 net.ipv4.conf.all.send_redirects=0 net.ipv4.conf.default.send_redirects=0
d sysctl -qw net.ipv4.icmp_ratelimit=0 net.ipv6.icmp.ratelimit=0 || true
sysctl -qw net.ipv4.icmp_msgs_per_sec=100000 net.ipv4.icmp_msgs_burst=100000 || true
sysctl -qw net.ipv6.conf.default.disable_ipv6=1
ip link add client type veth peer name eth0 netns director
ip link add server type veth peer name eth1 netns director
ip link set client address 02:00:00:00:00:40 up; ip link set server address 02:00:00:00:01:39 up
d ip link set eth0 address 02:00:00:00:00:21 up; d ip link set eth1 address 02:00:00:00:01:17 up
for i in client server; do ethtool -K $i tx off rx off tso off gso off gro off >/dev/null 2>&1 || true; done
for i in eth0 eth1; do d ethtool -K $i tx off rx off tso off gso off gro off >/dev/null 2>&1 || true; done
d ip addr add 172.16.10.21/24 dev eth0; d ip addr add fd00:10::21/64 dev eth0 nodad
d ip addr add 192.168.100.17/24 dev eth1; d ip addr add fd00:100::17/64 dev eth1 nodad
for a in 40 99; do d ip neigh replace 172.16.10.$a lladdr 02:00:00:00:00:40 dev eth0 nud permanent; d ip neigh replace fd00:10::$a lladdr 02:00:00:00:00:40 dev eth0 nud permanent; done
for a in 39 254; do d ip neigh replace 192.168.100.$a lladdr 02:00:00:00:01:39 dev eth1 nud permanent; done
for a in 39 fe; do d ip neigh replace fd00:100::$a lladdr 02:00:00:00:01:39 dev eth1 nud permanent; done
sleep 2
python3 /in/probe.py $OUT > /dev/null
wc $OUT/*.txt
