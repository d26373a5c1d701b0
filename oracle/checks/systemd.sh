# The systemd unit starts, is ready when it balances, restores rules at boot, survives a kill and ends without a trace
# init: systemd
. /in/lib.sh
two_segments
web_servers
# The machine itself is the director here, as the unit runs in its namespace.
for port in director-0:eth0 director-1:eth1; do
    ip -n director link delete "${port#*:}"
    ip link add "${port#*:}" type veth peer name "${port%:*}" netns switch
    ip link set "${port#*:}" up
    ip -n switch link set "${port%:*}" up
done
ip -n switch link set director-0 master sw
ip -n switch link set director-1 master inside
ip netns delete director
sysctl -qw net.ipv4.ip_forward=0 net.ipv4.conf.all.rp_filter=1
ip address add $VIP/24 dev eth0
ip address add $INSIDE/24 dev eth1

install -m 755 /in/xvs /usr/bin/xvs
install -m 644 /in/packaging/xvs.service /etc/systemd/system/xvs.service
# Where the processor is emulated, the kernel takes longer to verify the programs than systemd waits.
mkdir -p /etc/systemd/system/xvs.service.d
printf '[Service]\nTimeoutStartSec=900\n' >/etc/systemd/system/xvs.service.d/emulated.conf
equal 'systemd-analyze verify' "$(systemd-analyze verify --man=no xvs.service 2>&1)" ''
mkdir -p /etc/xvs
cat >/etc/xvs/rules <<RULES
-A -t $VIP:80 -s wrr
-a -t $VIP:80 -r $RS2:80 -m -w 3
-a -t $VIP:80 -r $RS1:80 -m -w 2
RULES
trap 'journalctl -u xvs.service --no-pager -n 40; systemctl status xvs.service --no-pager' EXIT

systemctl daemon-reload
systemctl enable -q xvs.service
systemctl start xvs.service
equal 'state after start' "$(systemctl is-active xvs.service)" active
equal 'the rules at once' "$(xvs adm -S -n)" "$(cat /etc/xvs/rules)"
requests 'under systemd'
pid=$(systemctl show -P MainPID xvs.service)
equal 'capabilities' "$(awk '/^CapEff/{print $2}' "/proc/$pid/status")" 000000c000001000

# Killed: forwarding goes on, the unit restarts it, and the rules are the state's, not the file's.
xvs adm -A -u $VIP:53 -s rr
kill -9 "$pid"
requests 'while the daemon is down or starting'
wait_for 'a restart' eval "[[ \$(systemctl show -P MainPID xvs.service) != @(0|$pid) ]] && xvs status"
contains 'the rules after a kill' "$(xvs adm -S -n)" "-A -u $VIP:53 -s rr"
requests 'after the restart'

# Stopped: forwarding goes on, and the tables are taken up again.
systemctl stop xvs.service
requests 'while the unit is stopped'
systemctl start xvs.service
contains 'the rules after a stop' "$(xvs adm -S -n)" "-A -u $VIP:53 -s rr"
contains 'the state' "$(xvs status)" 'went on with the data plane it found'

systemctl stop xvs.service
xvs serve --stop-forwarding
equal 'programs left' "$(bpftool -j net | sed 's/"flow_dissector":\[\]//')" '[{"xdp":[],"tc":[],}]'
equal 'mounts left' "$(findmnt -n -o TARGET -t bpf | grep xvs || true)" ''
trap - EXIT
