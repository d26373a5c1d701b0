# Runs the command lines of a file, one a line, beside the kernel's IPVS, and leaves in $OUT what each printed.
#
#   ./x oracle run oracle/transcribe.sh LINES HOSTS --out FOLDER -- LINES
#
# The form is that of crates/adm/tests/golden. HOSTS is crates/adm/tests/golden/more-hosts.
set -uo pipefail
cat /in/more-hosts /etc/hosts >/tmp/hosts
cat /tmp/hosts >/etc/hosts
modprobe ip_vs
modprobe -a ip_vs_rr ip_vs_wrr ip_vs_lc ip_vs_wlc ip_vs_lblc ip_vs_lblcr ip_vs_dh ip_vs_sh ip_vs_mh ip_vs_sed ip_vs_nq \
    ip_vs_fo ip_vs_ovf ip_vs_pe_sip
ip netns add director
ip -n director link set lo up
ip -n director link add eth0 type dummy
ip -n director address add 192.0.2.1/24 dev eth0
ip -n director link set eth0 up

# Marks every line of a file.
marked() {
    local line
    while IFS= read -r line || [ -n "$line" ]; do printf '%s %s\n' "$1" "$line"; done <"$2"
}

transcribe() {
    local line code
    while IFS= read -r line; do
        printf '$ %s\n' "$line"
        (eval "$line") >/tmp/stdout 2>/tmp/stderr </dev/null
        code=$?
        marked '|' /tmp/stdout
        marked '!' /tmp/stderr
        printf '= %s\n' $code
    done
}
export -f transcribe marked
ip netns exec director bash -c transcribe <"/in/$1" >"$OUT/$1"
