#!/usr/bin/env python3
"""Reads `tcpdump -tt -n' of connection attempts: how much later than after a second each server's
next check came. Prints checks a second, and percentiles in milliseconds."""
import sys

last, late, first, end, count = {}, [], None, 0.0, 0
for line in sys.stdin:
    words = line.split()
    if len(words) < 5 or words[3] != ">":
        continue
    at, target = float(words[0]), words[4]
    first = at if first is None else first
    end, count = at, count + 1
    if target in last:
        late.append((at - last[target] - 1.0) * 1e3)
    last[target] = at
late.sort()
if not late:
    sys.exit("no server was checked twice")
at = lambda part: late[min(len(late) - 1, int(part * len(late)))]
print(f"servers {len(last)}  checks/s {count / max(end - first, 1e-9):.0f}  lateness ms: "
      f"p50 {at(.5):.2f}  p90 {at(.9):.2f}  p99 {at(.99):.2f}  p99.9 {at(.999):.2f}  max {late[-1]:.2f}")
