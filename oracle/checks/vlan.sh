# 802.1q: clients and servers in VLANs are served by a director with VLAN interfaces on one trunk
. /in/lib.sh
host client director rs1 rs2
switch vlan_filtering 1 vlan_default_pvid 0
as_director director
plug client eth0 client
plug director eth0 trunk
plug rs1 eth0 rs1
plug rs2 eth0 rs2

# vlan_interface HOST ID: eth0.ID, whose frames are tagged on eth0.
vlan_interface() {
    ip -n "$1" link add link eth0 name "eth0.$2" type vlan id "$2"
    ip -n "$1" link set "eth0.$2" up
}
in_switch() { at switch bridge vlan add "$@"; }
# The client and rs1 tag by themselves, rs2 is on an access port.
vlan_interface client 10
vlan_interface director 10
vlan_interface director 20
vlan_interface rs1 20
in_switch dev client vid 10
in_switch dev trunk vid 10
in_switch dev trunk vid 20
in_switch dev rs1 vid 20
in_switch dev rs2 vid 20 pvid untagged
address client eth0.10 $CLIENT/24
address director eth0.10 $VIP/24
address director eth0.20 $INSIDE/24
address rs1 eth0.20 $RS1/24
address rs2 eth0 $RS2/24
behind_director
web_servers

serve director --hook tc
service director
requests 'VLAN, tc'
transfers 'VLAN, tc'
stop director

# Taken on the trunk alone, by name: frames come and go with their tags.
serve director --hook tc --interface eth0
service director
requests 'VLAN, the trunk by name, tc'
transfers 'VLAN, the trunk by name, tc'
stop director

# Left to itself, it takes TC here and says why.
serve director
service director
requests 'VLAN, auto'
contains 'the choice' "$(hook director eth0.10)" 'tc a vlan interface has no XDP'
stop director

# XDP is asked for on a trunk that takes tags off before XDP sees them: TC instead, and the reason.
for_xdp
serve director --hook xdp --interface eth0
service director
contains 'the choice' "$(hook director eth0)" 'tc xdp was asked for, but its hardware takes VLAN tags away'
requests 'VLAN, the trunk, xdp asked for'
stop director

# Tags stay in the frames: XDP takes them off, puts them on and changes them by itself.
for name in client director rs1 rs2; do at $name ethtool -K eth0 txvlan off rxvlan off >/dev/null; done
serve director --hook xdp --interface eth0
service director
contains 'the choice' "$(hook director eth0)" 'xdp asked for'
requests 'VLAN, the trunk, xdp'
transfers 'VLAN, the trunk, xdp'
by_xdp director eth0
stop director
