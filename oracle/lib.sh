# For checks: hosts that are network namespaces, web servers, a director, and comparisons. To be sourced.
#
#   client ─┐               ┌─ rs1 192.168.100.39
#           ├─ director ────┤
#   172.16.10.22   .21 (VIP), 192.168.100.17
#                           └─ rs2 192.168.100.23
set -euo pipefail

readonly VIP=172.16.10.21 CLIENT=172.16.10.22 INSIDE=192.168.100.17 RS1=192.168.100.39 RS2=192.168.100.23
readonly LOG=/w/daemon.log
export PATH=/w/bin:$PATH
mkdir -p /w/bin
ln -sf /in/xvs /w/bin/xvs

fail() {
    trap - ERR
    printf 'FAILED: %s\n' "$*" >&2
    # The shell that waits for this one tells the rest.
    ((BASH_SUBSHELL == 0)) || exit 1
    if [[ -e $LOG ]]; then echo '--- the log of the daemon'; tail -n 40 "$LOG"; fi
    if [[ -e /run/netns/director ]]; then
        echo '--- the director'
        at director xvs status || true
        at director xvs adm -ln --stats || true
        at director ip -s -br link || true
        at director ip neigh || true
    fi
    exit 1
}
trap 'fail "line $LINENO: $BASH_COMMAND"' ERR
# So that a function that fails is not passed over in silence.
set -E

# equal WHAT FOUND EXPECTED
equal() { [[ $2 == "$3" ]] || fail "$1: found
$2
expected
$3"; }
# contains WHAT TEXT WORDS
contains() { [[ $2 == *"$3"* ]] || fail "$1: there is no \"$3\" in
$2"; }

# --- hosts ----------------------------------------------------------------------------------------------------

at() { ip netns exec "$@"; }

# host NAME...
host() {
    local name
    for name; do
        ip netns add "$name"
        ip -n "$name" link set lo up
        at "$name" sysctl -qw net.ipv6.conf.all.disable_ipv6=1 net.ipv6.conf.default.disable_ipv6=1
    done
}

# cable HOST INTERFACE HOST INTERFACE
cable() {
    ip link add "$2" netns "$1" type veth peer name "$4" netns "$3"
    ip -n "$1" link set "$2" up
    ip -n "$3" link set "$4" up
}

# A host `switch` with a bridge, whose ports are named as what is behind them.
switch() {
    host switch
    ip -n switch link add sw type bridge forward_delay 0 "$@"
    ip -n switch link set sw up
}
# plug HOST INTERFACE PORT
plug() {
    cable "$1" "$2" switch "$3"
    ip -n switch link set "$3" master sw
}
address() { ip -n "$1" address add "$3" dev "$2"; }

# The director's own forwarding is off and its filter against spoofing strict: xvs needs neither changed.
as_director() {
    at "$1" sysctl -qw net.ipv4.ip_forward=0 net.ipv4.conf.all.rp_filter=1 net.ipv4.conf.default.rp_filter=1
}

# The network above on two segments: the director has eth0 and eth1.
two_segments() {
    host client director rs1 rs2
    switch
    ip -n switch link add inside type bridge forward_delay 0
    ip -n switch link set inside up
    as_director director
    plug client eth0 client
    plug director eth0 director-0
    for port in rs1 rs2; do
        cable $port eth0 switch $port
        ip -n switch link set $port master inside
    done
    cable director eth1 switch director-1
    ip -n switch link set director-1 master inside
    address client eth0 $CLIENT/24
    address director eth0 $VIP/24
    address director eth1 $INSIDE/24
    address rs1 eth0 $RS1/24
    address rs2 eth0 $RS2/24
    behind_director
}
behind_director() {
    ip -n rs1 route add default via $INSIDE
    ip -n rs2 route add default via $INSIDE
}

# XDP on veth: checksums are made by the senders, and both ends of every cable poll.
for_xdp() {
    local name interface
    for name in client director rs1 rs2 switch; do
        for interface in $(ip -n "$name" -o link show type veth | sed 's/^[0-9]*: \([^@:]*\).*/\1/'); do
            at "$name" ethtool -K "$interface" tx off gro on
        done
    done
}

# --- servers, the director, requests --------------------------------------------------------------------------

# web HOST PORT: serves the host's name at /, and what lies in /w/web/HOST.
web() {
    mkdir -p "/w/web/$1"
    printf '%s\n' "$1" >"/w/web/$1/index.html"
    cat >/w/web.py <<'PYTHON'
import http.server, os, sys, time
class Handler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *words): pass
    def do_GET(self):
        if self.path != '/trickle': return super().do_GET()
        # Goes on until it is told to end, and says then how much it was.
        self.send_response(200); self.end_headers()
        blocks = 0
        while not os.path.exists('/w/enough'):
            self.wfile.write(b'0123456789abcde\n' * 4096); blocks += 1
            time.sleep(0.02)
        self.wfile.write(b'%d blocks\n' % blocks)
    def do_PUT(self):
        import hashlib
        rest, digest = int(self.headers['Content-Length']), hashlib.sha256()
        while rest:
            part = self.rfile.read(min(rest, 65536))
            if not part: return
            digest.update(part); rest -= len(part)
        self.send_response(200); self.end_headers(); self.wfile.write(digest.hexdigest().encode() + b'\n')
class Server(http.server.ThreadingHTTPServer):
    request_queue_size = 128
Server(('0.0.0.0', int(sys.argv[1])), Handler).serve_forever()
PYTHON
    (cd "/w/web/$1" && exec ip netns exec "$1" python3 /w/web.py "$2") &
    wait_for "the web server of $1" at "$1" python3 -c "import socket; socket.create_connection(('127.0.0.1', $2))"
}
web_servers() { web rs1 80; web rs2 80; }

# wait_for WHAT COMMAND...: as long as loading the programs may take where the processor is emulated and busy.
wait_for() {
    local what=$1 end=$((SECONDS + 900))
    shift
    until "$@" >/dev/null 2>&1; do
        ((SECONDS < end)) || fail "waited in vain for $what"
        sleep 0.2
    done
}

# serve HOST OPTIONS...: starts the daemon there, with small tables.
serve() {
    local on=$1
    shift
    # Not by a function, so that the process is the daemon.
    ip netns exec "$on" xvs serve --connections 4096 --max-services 64 --max-destinations 64 \
        --rules /w/no-rules "$@" >>$LOG 2>&1 &
    daemon=$!
    wait_for 'the daemon' eval "! kill -0 $daemon || at $on xvs status"
    kill -0 $daemon || fail 'the daemon ended'
}
# Ends the daemon and forwarding.
stop() {
    kill "$daemon"
    wait "$daemon" || true
    at "$1" xvs serve --stop-forwarding >>$LOG 2>&1
    equal 'programs left by the director' "$(at "$1" bpftool -j net | sed 's/"flow_dissector":\[\]//')" '[{"xdp":[],"tc":[],}]'
}

# service HOST: the service by weight, 2 to 3.
service() {
    at "$1" xvs adm -A -t $VIP:80 -s wrr
    at "$1" xvs adm -a -t $VIP:80 -r $RS1 -m -w 2
    at "$1" xvs adm -a -t $VIP:80 -r $RS2 -m -w 3
}

# 25 requests, of which rs1 gets 10 and rs2 15.
requests() {
    local answers
    answers=$(for _ in $(seq 25); do at client curl -sS --max-time 10 "http://$VIP/"; done | sort | uniq -c | xargs)
    equal "answers ($1)" "$answers" '10 rs1 15 rs2'
}

# 20 MiB down and 20 MiB up arrive as they were sent.
transfers() {
    local sum
    [[ -e /w/large ]] || head -c 20971520 /dev/urandom >/w/large
    sum=$(sha256sum </w/large | cut -d' ' -f1)
    ln -f /w/large /w/web/rs1/large
    ln -f /w/large /w/web/rs2/large
    for _ in 1 2; do
        equal "a download ($1)" "$(at client curl -sS --max-time 120 "http://$VIP/large" | sha256sum | cut -d' ' -f1)" "$sum"
        equal "an upload ($1)" "$(at client curl -sS --max-time 120 -T /w/large "http://$VIP/up")" "$sum"
    done
}

# A transfer that lasts as long as wanted: begin_trickle CURL'S OPTIONS..., then end_trickle WHAT.
begin_trickle() {
    rm -f /w/enough
    ip netns exec client curl -sS --max-time 300 -o /w/trickle "$@" "http://$VIP/trickle" &
    trickle=$!
    wait_for 'the first bytes of a transfer' test -s /w/trickle
}
end_trickle() {
    kill -0 $trickle || fail "$1: the transfer ended too early"
    touch /w/enough
    wait $trickle || fail "$1: the transfer broke off"
    # 64 KiB a block: nothing is missing or doubled.
    equal "$1" "$(($(head -n -1 /w/trickle | wc -c) / 65536)) blocks" "$(tail -n 1 /w/trickle)"
    equal "$1" "$(head -n -1 /w/trickle | sort -u)" 0123456789abcde
}

# hook HOST INTERFACE: where packets are taken there, and why.
hook() { at "$1" xvs status | sed -n "s/^  $2  *//p" | tr -s ' '; }

# by_xdp HOST INTERFACE...: the driver says that its XDP program sent a hundred frames at least.
by_xdp() {
    local on=$1 interface frames
    shift
    for interface; do
        frames=$(at "$on" ethtool -S "$interface" | awk '/xdp_(tx|redirect):/ {sum += $2} END {print sum + 0}')
        ((frames >= 100)) || fail "XDP sent $frames frames from $interface of $on"
    done
}
