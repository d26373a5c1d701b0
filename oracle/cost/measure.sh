# What a packet costs a director, in instructions, beside the kernel's own forwarding: the kernel's IPVS, and xvs.
#
#   ./x oracle measure
#
# The machine's clock counts instructions, one a nanosecond, so that a rate is instructions per packet, the same in
# every run. It knows neither caches nor that some instructions take longer.
#
#   client eth0 ── eth0 director eth1 ── eth0 server        plain veth pairs, all on one processor
#
# The receiver counts, and drops on entering. What the sender and the entering take is measured by itself, with a
# director that drops at the same hook, and subtracted.
. /in/lib.sh
modprobe -a veth sch_ingress cls_matchall act_gact ip_vs ip_vs_rr ip_tunnel ipip

readonly COUNT=20000 SERVICE=10.1.0.21:80 SERVER=10.2.0.39:80
readonly SYN=2 ACK=16 DATA=24
readonly TO_DIRECTOR=02:00:00:00:00:02 FROM_SERVER=02:00:00:00:00:03

host client director server
ip link add eth0 netns client address 02:00:00:00:00:01 type veth peer name eth0 netns director address $TO_DIRECTOR
ip link add eth1 netns director address $FROM_SERVER type veth peer name eth0 netns server address 02:00:00:00:00:04
for end in client:eth0 director:eth0 director:eth1 server:eth0; do
    ip -n ${end%:*} link set ${end#*:} up
    at ${end%:*} sysctl -qw net.ipv4.conf.${end#*:}.rp_filter=0 net.ipv4.conf.all.rp_filter=0
done
address client eth0 10.1.0.1/24
address director eth0 10.1.0.21/24
address director eth1 10.2.0.17/24
address server eth0 10.2.0.39/24
at director sysctl -qw net.ipv4.ip_forward=1
ip -n director route add 10.0.0.0/8 via 10.1.0.1
ip -n server route add default via 10.2.0.17
ip -n director neigh add 10.1.0.1 lladdr 02:00:00:00:00:01 dev eth0 nud permanent
ip -n director neigh add 10.2.0.39 lladdr 02:00:00:00:00:04 dev eth1 nud permanent

# --- counting -------------------------------------------------------------------------------------------------

drop() {
    at "$1" tc qdisc add dev "$2" clsact
    at "$1" tc filter add dev "$2" ingress matchall action drop
}
undrop() { at "$1" tc qdisc delete dev "$2" clsact; }
seen() { at "$1" tc -s filter show dev eth0 ingress | awk '/Sent/ {print $4; exit}'; }

send() { at client python3 /in/send.py eth0 $TO_DIRECTOR "$@"; }
send_back() { at server python3 /in/send.py eth0 $FROM_SERVER "$@"; }

# cost RUNS RECEIVER ARRIVING COMMAND...: instructions a packet, the least of some runs, in each of which so many of
# the packets arrive at the receiver.
cost() {
    local runs=$1 receiver=$2 arriving=$3 best= before now arrived
    shift 3
    for ((; runs > 0; runs--)); do
        before=$(seen "$receiver")
        now=$("$@")
        arrived=$(($(seen "$receiver") - before))
        ((arrived == arriving)) || fail "$arrived packets arrived, not $arriving: $*"
        [[ -n $best ]] && ((best < now)) || best=$now
    done
    echo "$best"
}

# row DIRECTOR CASE INSTRUCTIONS
row() { awk -v n="$3" -v p="$plain" -v name="$1 | $2" 'BEGIN {printf "| %s | %d | %.2f |\n", name, n, n / p}'; }

# measure NAME METHOD: a director with one service: known connections, new ones, and the way back under NAT. Other
# clients each time, as a connection goes by the real server that it was made with.
round=0
measure() {
    local clients others
    round=$((round + 1))
    clients=10.4.$round.1:5000 others=10.5.$round.1:10000
    for flags in $SYN $ACK; do send $flags 1000 $clients $SERVICE 1000 >/dev/null; done
    row "$1" "$2: known connection, 1,000 flows" \
        $(($(cost 3 server $COUNT send $DATA 1000 $clients $SERVICE $COUNT) - entering))
    row "$1" "$2: new connection" \
        $(($(cost 1 server $COUNT send $SYN $COUNT $others $SERVICE $COUNT) - entering_syn))
    [[ $2 == NAT ]] || return 0
    row "$1" "NAT: way back" $(($(cost 3 client $COUNT send_back $DATA 1 $SERVER $clients $COUNT) - entering_back))
}

# enter: what it takes until a packet is in the director, which drops it there.
enter() {
    entering=$(cost 3 server 0 send $DATA 1000 10.4.0.1:5000 $SERVER $COUNT)
    entering_syn=$(cost 3 server 0 send $SYN $COUNT 10.5.0.1:10000 $SERVER $COUNT)
    entering_back=$(cost 3 client 0 send_back $DATA 1 $SERVER 10.4.0.1:5000 $COUNT)
}

# --- the kernel ------------------------------------------------------------------------------------------------

drop server eth0
drop client eth0
drop director eth0
drop director eth1
enter
undrop director eth0
undrop director eth1
plain=$(($(cost 3 server $COUNT send $DATA 1000 10.4.0.1:5000 $SERVER $COUNT) - entering))
echo '| director | case | instructions | plain forwarding is 1 |'
echo '|---|---|---|---|'
row kernel 'plain forwarding' $plain

for method in NAT:-m DR:-g TUN:-i; do
    at director ipvsadm -A -t $SERVICE -s rr
    at director ipvsadm -a -t $SERVICE -r $SERVER ${method#*:}
    measure IPVS ${method%:*}
    at director ipvsadm -C
done

# --- xvs: TC, which sees the same buffers as the kernel's director; then XDP, where packets come and go without ----

# An interface is taken when a service leads to it.
is_on() { [[ $(hook director eth0) == "$1 "* ]]; }

xvs_on() {
    local method
    ip netns exec director xvs serve --hook "$1" --rules /w/no-rules >>$LOG 2>&1 &
    daemon=$!
    wait_for 'the daemon' eval "! kill -0 $daemon || at director xvs status"
    kill -0 $daemon || fail 'the daemon ended'
    for method in NAT:-m DR:-g TUN:-i; do
        at director xvs adm -A -t $SERVICE -s rr
        at director xvs adm -a -t $SERVICE -r $SERVER ${method#*:}
        wait_for 'the hook' is_on "$1"
        measure "xvs on $1" ${method%:*}
        at director xvs adm -C
    done
    stop director
}

at director sysctl -qw net.ipv4.ip_forward=0
xvs_on tc

# Both ends of a cable must poll; whether they do is nothing to the drivers that have XDP of themselves.
for end in client:eth0 director:eth0 director:eth1 server:eth0; do
    at ${end%:*} ethtool -K ${end#*:} tx off gro on >/dev/null
done
# begin_xdp INTERFACE [OTHER]: XDP drops what comes, or sends it out of another interface.
programs=()
begin_xdp() {
    rm -f /w/begun
    ip netns exec director python3 /in/drop.py "$@" >/w/begun &
    programs+=($!)
    wait_for 'XDP' test -s /w/begun
}
end_xdp() {
    kill "${programs[@]}"
    programs=()
    wait_for 'the end of XDP' eval '! ip -n director link | grep -q xdp'
}
begin_xdp eth0
begin_xdp eth1
enter
end_xdp
begin_xdp eth0 eth1
row 'redirection alone' XDP $(($(cost 3 server $COUNT send $DATA 1000 10.4.0.1:5000 $SERVER $COUNT) - entering))
end_xdp
xvs_on xdp
