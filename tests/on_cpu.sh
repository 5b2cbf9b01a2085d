#!/bin/sh
# Runs a command where the CPU has all of the flags, else says which it lacks and exits 77. The flags are the kernel's
# words, not what mm finds, so that a wrong refusal of mm's is a failure. Usage: on_cpu.sh 'FLAG...' COMMAND...
set -eu
for flag in $1; do
    grep -qw -m 1 "^flags.*[[:space:]]$flag" /proc/cpuinfo || {
        echo "skipped: this CPU has no $flag"
        exit 77
    }
done
shift
exec "$@"
