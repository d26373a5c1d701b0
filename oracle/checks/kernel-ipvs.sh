# Beside services of the kernel's IPVS the daemon refuses to start; moved by the two commands that it names, they are the same
. /in/lib.sh
two_segments
web_servers
modprobe ip_vs
kernel() { at director /sbin/ipvsadm "$@"; }
kernel -A -t $VIP:80 -s wrr
kernel -a -t $VIP:80 -r $RS1 -m -w 2
kernel -a -t $VIP:80 -r $RS2 -m -w 3
kernel -A -t $VIP:443 -s sh -b sh-port -p 600 -M 255.255.255.0
kernel -a -t $VIP:443 -r $RS1:8443 -m
kernel -A -u $VIP:53 -s rr
kernel -a -u $VIP:53 -r $RS2 -m -w 0
before=$(kernel -ln)
rules=$(kernel -S -n)

code=0
refusal=$(at director xvs serve --rules /w/no-rules 2>&1) || code=$?
equal 'exit code beside the kernel' $code 1
contains 'the refusal' "$refusal" "the kernel's IPVS has 3 services in this network namespace"
contains 'the remedy' "$refusal" 'hint: move them'
equal 'the rules of the kernel, untouched' "$(kernel -S -n)" "$rules"

at director /sbin/ipvsadm-save -n >/w/rules
kernel -C
serve director --hook tc
at director xvs adm --restore </w/rules
equal 'the rules, as ours saves them' "$(at director xvs adm -S -n)" "$rules"
equal 'the table, as ours lists it' "$(at director xvs adm -ln)" "$before"
requests 'after the move'
equal 'the kernel, afterwards' "$(kernel -S -n)" ''
stop director

# And back again: what ours saves, the kernel takes.
serve director --hook tc
at director xvs adm --restore </w/rules
at director xvs adm -S -n >/w/ours
stop director
kernel -R </w/ours
equal 'the rules, back in the kernel' "$(kernel -S -n)" "$rules"
