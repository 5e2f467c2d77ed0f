#!/usr/bin/env python3
"""Lets system calls fail: the first, the second, the third, … of a run, once and from there on.

Errors: EIO at every call that changes the disk and at every read, EDQUOT and ENOSPC at those that write, EROFS, EACCES and
EMFILE at those that open. Whatever fails, the run ends with an exit number of the contract and a line that names the place,
shows nothing that is not whole, and the same command ends in the bytes of an undisturbed run. A sync that failed never
counts as a success. Then all reads and writes are cut short, and each call is interrupted once: that must change nothing.

  errors.py [CASE...]          every case whose files are local
  errors.py --every 5 pack     every fifth call of one case

Exit: 0 good, 1 a violation, 77 it cannot run here.
"""

import sys
import time

import kill
import tracer
import world

CASES = ("pack", "pack-whole", "import-layout", "resolve", "verify")
EXITS = {0, 1, 2, 10, 20, 30, 40, 50}
SYNCS = {"fsync", "fdatasync"}
WRITING = ("write", "pwrite64", "writev", "fsync", "fdatasync", "fallocate", "ftruncate")
OPENING = ("openat", "mkdir", "rename", "renameat", "renameat2")
# Error, calls that it is tried at, whether reads are numbered too.
FAULTS = [("EIO", (), False), ("EIO", tuple(tracer.READS.values()), True), ("EDQUOT", WRITING, False), ("ENOSPC", WRITING, False),
          ("EROFS", OPENING, False), ("EACCES", OPENING, False), ("EMFILE", ("openat",), False)]  # fmt: skip


def run(case, **plan):
    case.begin()
    # Only what is ours: a shared library that cannot be read keeps any program from starting.
    path = f"^{case.world.folder}"
    return tracer.run(case.command(), tracer.Plan(path=path, **plan), environment=case.world.environment)


def judge(case, ran, error, good):
    """Returns what is wrong with a run in which calls failed."""
    wrong = [] if ran.code in EXITS else [f"exit {ran.code}, signal {ran.signal}: {ran.said[-500:]}"]
    if "panicked" in ran.said:
        wrong.append(f"a panic: {ran.said[-500:]}")
    if ran.code == 0 and error in ("EIO", "EDQUOT", "ENOSPC") and any(call.name in SYNCS for call in ran.acted):
        wrong.append("a sync failed and the run says that all is well")
    if ran.code == 0 and case.portrait() != good:
        wrong.append("the run says that all is well, and its result differs")
    if ran.code not in (0, None) and "error: " not in ran.said and "NOT good" not in ran.said:
        wrong.append(f"no word of why: {ran.said[-300:]}")
    return wrong + case.violations()


def sweep(name, case, every, offset):
    began, tried, ends, failed = time.monotonic(), 0, {}, False
    good = kill.undisturbed(case)[1]
    for error, only, reads in FAULTS:
        count = len(run(case, only=only, reads=reads).calls)
        for number in kill.points(count, every, offset):
            for persistent in (False, True):
                ran = run(case, at=number, act=error, on=persistent, only=only, reads=reads)
                wrong = judge(case, ran, error, good) + kill.again(case, good)
                tried += 1
                ends[ran.code] = ends.get(ran.code, 0) + 1
                for what in wrong:
                    failed = True
                    mode = "from there on" if persistent else "once"
                    call = ran.acted[0] if ran.acted else number
                    print(f"  VIOLATION with {error} {mode} at {call}: {what}", flush=True)
    failed |= harmless(case, every, offset, good)
    told = ", ".join(f"{count} with exit {code}" for code, count in sorted(ends.items(), key=str))
    print(f"{name}: {tried} runs with errors: {told}; {time.monotonic() - began:.0f} s", flush=True)
    return failed


def harmless(case, every, offset, good):
    """Short and interrupted calls must not be seen."""
    failed = False
    plans = [{"at": 1, "act": "short", "on": True, "reads": True}]
    interrupted = ("write", "pwrite64", "read", "pread64", "openat", "fsync", "fdatasync", "ftruncate", "fallocate")
    count = len(run(case, only=interrupted, reads=True).calls)
    plans += [{"at": n, "act": "EINTR", "only": interrupted, "reads": True} for n in kill.points(count, every, offset)]
    for plan in plans:
        ran = run(case, **plan)
        if ran.code != 0 or case.portrait() != good:
            failed = True
            call = ran.acted[0] if ran.acted else "nothing"
            print(f"  VIOLATION: {plan['act']} at {call} was seen, exit {ran.code}: {ran.said[-400:]}", flush=True)
    return failed


def main():
    arguments = world.options_at_calls(__doc__).parse_args()
    if not tracer.can_run():
        print("SKIPPED: the tracer knows Linux on x86-64 only")
        return 77
    failed = False
    with world.World(arguments.airlift) as ours:
        for name in arguments.cases or CASES:
            failed |= sweep(name, ours.cases()[name](ours, ours.folder / "place"), arguments.every, arguments.offset)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
