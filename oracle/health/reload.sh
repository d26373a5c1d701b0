#!/bin/bash
# How long a reload of one changed weight takes, under load: DIRECTOR (keepalived or the path of xvs)
# VIRTUAL_SERVERS REAL_SERVERS [ROUNDS]. Time is from the signal until the last real server has its new weight.
set -euo pipefail
here=$(dirname "$(readlink -f "$0")")
. "$here/network.sh"
director=$1 servers=$2 real_servers=$3 rounds=${4:-3}
[ "$director" = keepalived ] || [ -x "$director" ] || director=$here/$director
work=$(mktemp -d)
network
configuration() {
    python3 "$here/configuration.py" "$servers" "$real_servers" 60 "$1" >"$work/new"
    mv "$work/new" "$work/conf"
}
last=$((servers - 1))
service=172.20.$((last / 250)).$((last % 250 + 1)):80
real=10.$((last / 250)).$((last % 250 + 1)).$real_servers:80
weight() {
    if [ "$director" = keepalived ]; then
        ipvsadm -Ln -t "$service"
    else
        "$director" adm -Ln -t "$service"
    fi 2>/dev/null | awk -v real="$real" '$2 == real {print $4}'
}
until_weight() { until [ "$(weight)" = "$1" ]; do sleep 0.01; done; }
configuration 1
began=$(date +%s.%N)
director "$director" "$work/conf"
until_weight 1
echo "started within $(awk "BEGIN {print $(date +%s.%N) - $began}") s, memory $(($(memory) / 1024)) MiB"
ip netns exec "$client" python3 "$here/requests.py" &
requests=$!
sleep 3
for round in $(seq 2 $((rounds + 1))); do
    configuration "$round"
    before=$(ticks)
    began=$(date +%s.%N)
    if [ "$director" = keepalived ]; then kill -HUP "${processes%% *}"; else kill -HUP "$processes"; fi
    until_weight "$round"
    took=$(awk "BEGIN {print $(date +%s.%N) - $began}")
    sleep 2
    echo "$(basename "$director"), $servers x $real_servers: reload within $took s," \
        "processor time $(awk "BEGIN {print ($(ticks) - $before) / 100}") s"
done
kill "$requests"
wait "$requests"
