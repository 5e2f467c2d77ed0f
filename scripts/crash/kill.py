#!/usr/bin/env python3
"""Kills a command at every system call that changes the disk (and, towards a registry, at every one that sends).

After each kill nothing may have its final name that is not whole. The same command, run again without a fault, must end
in the bytes of an undisturbed run, with nothing left behind.

  kill.py [CASE...]                    every case, every call
  kill.py --every 7 --offset 3 pack    calls 3, 10, 17, ... of one case
  kill.py --in FOLDER -- COMMAND...    any command; `{}` in it stands for a copy of FOLDER, which is its state

--airlift names the program. Exit: 0 good, 1 a violation, 77 it cannot run here.
"""

import subprocess
import sys
import time
from pathlib import Path

import tracer
import world


def points(count, every, offset):
    return range(1 + offset % every, count + 1, every)


def undisturbed(case):
    """Runs to the end twice: the calls of a whole run, and what it must come to."""
    case.begin()
    ran = tracer.run(case.command(), tracer.Plan(sockets=case.sockets), environment=case.world.environment)
    if ran.code != 0:
        raise SystemExit(f"exit {ran.code} without any fault:\n{ran.said}")
    return ran.calls, case.portrait()


def again(case, good):
    """Runs without a fault; returns what is wrong with its end."""
    ran = subprocess.run(case.command(), env=case.world.environment, capture_output=True, text=True)
    if ran.returncode != 0:
        return [f"the run after it ended with exit {ran.returncode}: {ran.stderr.strip()[-600:]}"]
    found = case.portrait()
    wrong = [f"{name} differs from an undisturbed run" for name in sorted(good.keys() | found.keys()) if good.get(name) != found.get(name)]
    return wrong + [f"{name} is left" for name in case.unfinished()]


def kill_at(case, number, good):
    case.begin()
    plan = tracer.Plan(at=number, sockets=case.sockets)
    ran = tracer.run(case.command(), plan, environment=case.world.environment)
    if not ran.acted:
        # Threads take turns differently each time: this run had fewer calls.
        return None, [] if ran.code == 0 else [f"exit {ran.code}: {ran.said[-600:]}"]
    return ran.acted[0], case.violations() + again(case, good)


def sweep(case, every, offset, patience):
    """Kills at every chosen call; returns counts and violations."""
    calls, good = undisturbed(case)
    killed, wrong, began = 0, [], time.monotonic()
    for number in points(len(calls), every, offset):
        if time.monotonic() - began > patience:
            print(f"  stopped at call {number} of {len(calls)} after {patience} s")
            break
        call, found = kill_at(case, number, good)
        killed += call is not None
        for what in found:
            wrong.append(f"{call or number}: {what}")
            print(f"  VIOLATION at {wrong[-1]}", flush=True)
    return len(calls), killed, wrong


def main():
    parser = world.options_at_calls(__doc__)
    parser.add_argument("--patience", type=float, default=3600, help="seconds for one case")
    parser.add_argument("--in", dest="folder", metavar="FOLDER")
    words, rest = sys.argv[1:], []
    if "--" in words:
        words, rest = words[: words.index("--")], words[words.index("--") + 1 :]
    arguments = parser.parse_args(words)
    if not tracer.can_run():
        print("SKIPPED: the tracer knows Linux on x86-64 only")
        return 77
    failed = False
    with world.World(arguments.airlift) as ours:
        known = ours.cases()
        for name in arguments.cases or ([] if rest else known):
            if name not in known:
                parser.error(f"no case {name!r}; there are {', '.join(known)}")
            failed |= report(name, known[name](ours, ours.folder / "place"), arguments)
        if rest:
            failed |= report(rest[0], world.Any(ours, ours.folder / "place", Path(arguments.folder), rest), arguments)
    return int(failed)


def report(name, case, arguments):
    began = time.monotonic()
    count, killed, wrong = sweep(case, arguments.every, arguments.offset, arguments.patience)
    print(f"{name}: {count} calls, killed at {killed}, {len(wrong)} violations, {time.monotonic() - began:.0f} s", flush=True)
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
