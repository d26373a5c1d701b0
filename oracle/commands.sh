# What a restore of 100,000 real servers and lists of it take here: with the kernel's IPVS, or with xvs where it is given.
#
#   ./x oracle run oracle/commands.sh [target/release/xvs]
#
# Seconds and the program's memory at its highest; then memory of the director itself. docs/performance.md has the results.
set -euo pipefail
for ((service = 0; service < 10000; service++)); do
    high=$((service / 250)) low=$((service % 250))
    echo "-A -t 10.$high.$low.1:80 -s wrr"
    for server in 1 2 3 4 5 6 7 8 9 10; do
        echo "-a -t 10.$high.$low.1:80 -r 172.16.$low.$server:$((8000 + high)) -m -w $server"
    done
done >rules

cat >take.py <<'PYTHON'
import resource, subprocess, sys, time
begin = time.time()
ended = subprocess.run(sys.argv[1:], stdin=open("rules"), stdout=open("said", "w"))
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(f"{' '.join(sys.argv[1:3])}: {time.time() - begin:.2f} s, {used.ru_maxrss} KiB, exit code {ended.returncode}")
PYTHON

if [ -e /in/xvs ]; then
    mkdir bin
    ln -s /in/xvs bin/ipvsadm
    export PATH="/w/bin:$PATH"
    ip link set lo up
    /in/xvs serve --hook tc --connections 65536 2>serve.log &
    daemon=$!
    until ipvsadm -ln >said 2>&1; do sleep 1; done
else
    modprobe -a ip_vs ip_vs_wrr
    daemon=
fi

memory() {
    if [ -n "$daemon" ]; then grep RssAnon /proc/$daemon/status; else grep -E '^(MemFree|Slab|Percpu)' /proc/meminfo; fi
}

memory
python3 take.py ipvsadm -R
memory
for words in -ln -Sn '-e -t 10.0.7.1:80 -r 172.16.7.1:8000 -m' -C; do
    # shellcheck disable=SC2086 # words
    python3 take.py ipvsadm $words
done
