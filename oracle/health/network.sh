# The director in this namespace, real servers at every address of 10.0.0.0/8 behind one router, a client. To be
# sourced. Elsewhere than in the machine: `ip netns add d; HOSTS=try- nsenter --net=/run/netns/d checks.sh ...'.
readonly rs=${HOSTS-}rs client=${HOSTS-}client
network() {
    trap 'kill $(jobs -p) 2>/dev/null || true; ip netns del "$rs"; ip netns del "$client"' EXIT
    sysctl -qw net.ipv4.ip_forward=1 net.core.somaxconn=65535 net.ipv4.tcp_max_syn_backlog=65535 \
        net.ipv4.ip_local_port_range="1024 65535" net.ipv4.tcp_max_tw_buckets=400000
    ip link set lo up
    for host in "$rs" "$client"; do
        ip netns add "$host"
        ip -n "$host" link set lo up
    done
    ip link add servers type veth peer name eth0 netns "$rs"
    ip link add clients type veth peer name eth0 netns "$client"
    ip address add 192.168.9.1/24 dev servers
    ip address add 192.168.8.1/24 dev clients
    ip address add 172.20.0.1/32 dev lo
    ip -n "$rs" address add 192.168.9.2/24 dev eth0
    ip -n "$client" address add 192.168.8.2/24 dev eth0
    for end in servers clients; do ip link set "$end" up; done
    for host in "$rs" "$client"; do ip -n "$host" link set eth0 up; done
    ip route add 10.0.0.0/8 via 192.168.9.2
    ip -n "$rs" route add local 10.0.0.0/8 dev lo
    ip -n "$rs" route add default via 192.168.9.1
    ip -n "$client" route add default via 192.168.8.1
    ip netns exec "$rs" sysctl -qw net.core.somaxconn=65535 net.ipv4.tcp_max_syn_backlog=65535
    ip netns exec "$rs" python3 "$here/real_servers.py" &
}

# Starts a director with a file: `keepalived' or the path of xvs. Its processes are in $processes.
director() {
    if [ "$1" = keepalived ]; then
        modprobe -a ip_vs ip_vs_wrr
        keepalived -n -G -C -f "$2" >/tmp/log 2>&1 &
        until pgrep -P $! >/dev/null; do
            kill -0 $! || { cat /tmp/log; exit 1; }
            sleep 0.1
        done
        processes="$! $(pgrep -P $!)"
    else
        mkdir -p /sys/fs/bpf
        "$1" serve -f "$2" --max-services 4096 --max-destinations 131072 --connections 65536 \
            --hook tc --interface servers --interface clients --rules /nonexistent >/tmp/log 2>&1 &
        processes=$!
        until grep -q ' ready' /tmp/log; do
            kill -0 $! || { cat /tmp/log; exit 1; }
            sleep 0.1
        done
    fi
}

# Ticks of the processor that the director's processes have used, in hundredths of a second.
ticks() {
    for process in $processes; do awk '{print $14 + $15}' "/proc/$process/stat"; done |
        awk '{sum += $1} END {print sum}'
}

# Their memory in KiB.
memory() {
    for process in $processes; do awk '/^VmRSS/ {print $2}' "/proc/$process/status"; done |
        awk '{sum += $1} END {print sum}'
}
