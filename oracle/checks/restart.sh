# A killed daemon costs no packet of a running transfer, and the next one lists the transfer's connection
. /in/lib.sh
two_segments
web_servers
serve director --hook tc
service director
begin_trickle --local-port 40000
kill -9 "$daemon"
wait "$daemon" || true
# Long enough for TCP to notice, should forwarding have ended.
sleep 5
size=$(stat -c %s /w/trickle)
sleep 2
(($(stat -c %s /w/trickle) > size)) || fail 'the transfer stands still without a daemon'
serve director --hook tc
contains 'connections' "$(at director xvs adm -lnc)" "ESTABLISHED $CLIENT:40000"
end_trickle 'over a kill and a restart'
contains 'the state' "$(at director xvs status)" 'went on with the data plane it found'
stop director
