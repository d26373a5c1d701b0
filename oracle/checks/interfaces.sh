# A director on a bond, on a bridge, and on VLANs upon a bond serves; a bond's change of cable loses no connection
. /in/lib.sh
two_segments
web_servers

# --- a bridge: eth0's addresses are on br0, of which it is a port
ip -n director link add br0 type bridge forward_delay 0
ip -n director address flush dev eth0
ip -n director link set eth0 master br0
ip -n director link set br0 up
address director br0 $VIP/24
serve director
service director
requests 'on a bridge'
transfers 'on a bridge'
contains 'the choice for a bridge' "$(hook director br0)" 'tc '
stop director
ip -n director link delete br0

# --- a bond of two cables to the same switch, one at work
modprobe bonding max_bonds=0
plug director eth2 director-2
ip -n director link add bond0 type bond mode active-backup miimon 100
for port in eth0 eth2; do
    ip -n director link set $port down
    ip -n director link set $port master bond0
done
ip -n director link set bond0 up
address director bond0 $VIP/24
serve director
service director
requests 'on a bond'
transfers 'on a bond'
contains 'the choice for a bond' "$(hook director bond0)" 'tc '

# A transfer during which the cable at work is pulled.
begin_trickle
active=$(at director cat /sys/class/net/bond0/bonding/active_slave)
ip -n director link set "$active" down
sleep 5
end_trickle 'over a change of cable'
[[ $(at director cat /sys/class/net/bond0/bonding/active_slave) != "$active" ]] || fail 'the bond did not change over'
requests 'after the change of cable'
stop director

# --- VLANs upon the bond
ip -n director link set "$active" up
ip -n director address flush dev bond0
ip -n director link add link bond0 name bond0.10 type vlan id 10
ip -n director link set bond0.10 up
address director bond0.10 $VIP/24
ip -n client address flush dev eth0
ip -n client link add link eth0 name eth0.10 type vlan id 10
ip -n client link set eth0.10 up
address client eth0.10 $CLIENT/24
serve director
service director
requests 'on a VLAN of a bond'
transfers 'on a VLAN of a bond'
stop director
