# Plays the cases of /in/cases; the answers are in $OUT/answers.
modprobe -a ip_vs veth
sysctl -qw net.ipv4.icmp_msgs_per_sec=1000000 net.ipv4.icmp_msgs_burst=100000 net.ipv6.conf.default.disable_ipv6=1
python3 /in/play.py /in/cases /w/answers && cp /w/answers "$OUT"
