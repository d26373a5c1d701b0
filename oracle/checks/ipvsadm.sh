# Our ipvsadm and Debian's are installed side by side, and each speaks to its own director
. /in/lib.sh
two_segments
web_servers
mkdir -p /usr/local/sbin
for name in ipvsadm ipvsadm-save ipvsadm-restore; do ln -s /in/xvs /usr/local/sbin/$name; done
export PATH=/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin:/w/bin
contains "Debian's" "$(/sbin/ipvsadm --version)" 'ipvsadm v1.31'
equal 'which ipvsadm' "$(command -v ipvsadm)" /usr/local/sbin/ipvsadm

# Before the daemon runs, ours says what the kernel's says without its module, and what helps.
code=0
said=$(at director ipvsadm -ln 2>&1) || code=$?
equal 'exit code without a daemon' $code 2
contains 'without a daemon' "$said" "Can't initialize ipvs: Protocol not available"
contains 'without a daemon' "$said" 'hint: '

serve director --hook tc
at director ipvsadm -A -t $VIP:80 -s wrr
at director ipvsadm -a -t $VIP:80 -r $RS1 -m -w 2
at director ipvsadm -a -t $VIP:80 -r $RS2 -m -w 3
equal "the kernel's table" "$(at director /sbin/ipvsadm -S -n)" ''
requests 'set up by our ipvsadm'

# The same rules in a namespace of their own, in the kernel's director: what both print is the same.
host twin
ip -n twin link add eth0 type dummy
ip -n twin link set eth0 up
address twin eth0 $VIP/24
at director ipvsadm-save -n | at twin /sbin/ipvsadm-restore
for words in '-ln' '-S -n' '-ln --timeout' '-ln --daemon' '-ln --thresholds' '-ln --persistent-conn'; do
    # shellcheck disable=SC2086 # words
    equal "ipvsadm $words" "$(at director ipvsadm $words | sed 's/  *[0-9]* *$//')" \
        "$(at twin /sbin/ipvsadm $words | sed 's/  *[0-9]* *$//')"
done
# And the other way round.
at twin /sbin/ipvsadm-save -n | at director sh -c 'ipvsadm -C && ipvsadm-restore'
equal 'rules from the kernel' "$(at director ipvsadm -S -n)" "$(at twin /sbin/ipvsadm -S -n)"
stop director
