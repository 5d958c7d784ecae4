"""The table of compare.sh: table.py SAMPLES IDLE [BASE] prints Markdown; ratios are to BASE, or to the floor.

SAMPLES: a line a run: contestant, round, CPU ticks, requests, microseconds, p50 and p99 in microseconds, errors.
IDLE: contestant, KiB an idle connection. Medians over rounds; the ratio is the median of the ratios within
each round, so that a machine that slows down for a minute slows both sides of a ratio.
"""

import os
import sys
from collections import defaultdict
from statistics import median

TICKS = os.sysconf("SC_CLK_TCK")


def lines(path: str) -> list[list[str]]:
    with open(path, encoding="ascii") as file:
        return [line.split() for line in file]


def main() -> None:
    runs: dict[str, dict[int, dict[str, float]]] = defaultdict(dict)
    for name, turn, ticks, requests, micros, p50, p99, errors in lines(sys.argv[1]):
        runs[name][int(turn)] = {
            "cpu": int(ticks) * 1e6 / TICKS / int(requests),
            "rate": int(requests) * 1e6 / int(micros),
            "p50": int(p50) / 1e3,
            "p99": int(p99) / 1e3,
            "errors": int(errors),
        }
    idle = dict(lines(sys.argv[2]))
    base = sys.argv[3] if len(sys.argv) > 3 and sys.argv[3] else "floor"
    print(f"| contestant | CPU µs/request | × {base} | requests/s | p50 ms | p99 ms | KiB/idle connection | errors |")
    print("|---|--:|--:|--:|--:|--:|--:|--:|")
    for name, rounds in runs.items():
        print(row(name, rounds, runs.get(base, {}), idle.get(name, "—")))


def row(name: str, rounds: dict, base: dict, idle: str) -> str:
    def middle(key: str) -> float:
        return median(run[key] for run in rounds.values())

    ratios = [run["cpu"] / base[turn]["cpu"] for turn, run in rounds.items() if turn in base]
    # Without a proxy there is no proxy to bill: only its latency and throughput mean something.
    proxied = name != "direct"
    cpu = f"{middle('cpu'):.2f}" if proxied else "—"
    ratio = f"{median(ratios):.3f}" if proxied and ratios else "—"
    errors = int(sum(run["errors"] for run in rounds.values()))
    return (
        f"| {name} | {cpu} | {ratio} | {middle('rate'):,.0f} | {middle('p50'):.2f} "
        f"| {middle('p99'):.2f} | {idle} | {errors} |"
    )


main()
