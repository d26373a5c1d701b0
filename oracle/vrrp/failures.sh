#!/bin/bash
# How long there are none, one and two masters when the clock steps and when packets are late: a pair of ours beside a
# pair of keepalived's. Beside the script lies xvs-vrrp-host's test program `peers'.
set -euo pipefail
here=$(dirname "$(readlink -f "$0")")
install -m 755 "$here"/peers* peers
export XVS_TEST_OWN_MACHINE=1
./peers --ignored --nocapture a_machines_failures
