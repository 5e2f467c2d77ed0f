#!/usr/bin/env bash
# Cases of real-parts.sh about runs that end early: a short part of scripts/crash. The whole of each is run by hand, see
# docs/crash.md. Sourced there.
# shellcheck disable=SC2154 # what the caller has set

# crash SCRIPT ARGUMENT...: runs a script of scripts/crash; one that cannot run on this machine says so and is no failure.
crash() {
  local script=$1 code=0
  shift
  "$repository/scripts/crash/$script" --airlift "$program_under_test" "$@" || code=$?
  ((code == 77)) && echo 'NOTE: not on this machine' && return 0
  return "$code"
}

runs_are_killed_at_calls() { crash kill.py --every 7 --offset 3 pack import-layout import-registry resolve; }
the_power_is_cut_at_calls() { crash power.py --every 9 pack resolve; }
disks_are_too_small() { crash space.py --steps 6 pack-whole resolve; }
calls_fail() { crash errors.py --every 9 pack verify; }
a_pipe_needs_no_disk() { crash stream.py --size 200MB; }

crash_cases() {
  run_case 'runs are killed at system calls and go on' runs_are_killed_at_calls
  run_case 'the power is cut at system calls' the_power_is_cut_at_calls mkfs.ext4 losetup
  run_case 'disks are too small' disks_are_too_small
  run_case 'system calls fail' calls_fail
  run_case 'a bundle passes through a pipe without a disk' a_pipe_needs_no_disk strace
}
