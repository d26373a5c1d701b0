# Real TCP is balanced by weight at every hook, and large transfers arrive whole both ways
. /in/lib.sh
two_segments
web_servers

# As the system sets offloads: packets of 64 KiB, with checksums left to be made.
serve director --hook tc
service director
requests tc
equal 'connections by --stats' "$(at director xvs adm -ln --stats | awk '/:80 /{print $2, $3}' | sort | xargs)" \
    "$VIP:80 25 $RS2:80 15 $RS1:80 10"
transfers tc
contains 'the hook' "$(hook director eth0)" 'tc '
stop director

for_xdp
for hook in xdp xdp-generic; do
    serve director --hook $hook
    service director
    requests $hook
    transfers $hook
    contains 'the hook' "$(hook director eth0)" "$hook "
    contains 'the link' "$(ip -n director link show eth0)" "$([[ $hook == xdp ]] && echo ' xdp ' || echo xdpgeneric)"
    [[ $hook != xdp ]] || by_xdp director eth0 eth1
    stop director
done
