#!/usr/bin/env bash
# One fuzz target for a short time, from its committed seeds, in a folder of its own. fuzz.sh TARGET DICTIONARY SEEDS
set -u
# Every input becomes files: in memory, where there is room for them, a target runs two to five times as often as on a disk.
shm=/dev/shm
[ -n "${TMPDIR:-}" ] || [ ! -w $shm ] || export TMPDIR=$shm
# What was freed is kept from use for longer than an input takes.
export ASAN_OPTIONS="quarantine_size_mb=32${ASAN_OPTIONS:+:$ASAN_OPTIONS}"
scratch=$(mktemp -d) || exit 2
trap 'rm -rf "$scratch"' EXIT
mkdir "$scratch/corpus"
TMPDIR=$scratch "$1" -max_total_time="${MM_FUZZ_SECONDS:-12}" -timeout=10 -rss_limit_mb=1024 -malloc_limit_mb=256 \
    -dict="$2" -print_final_stats=1 -artifact_prefix="$scratch/" "$scratch/corpus" "$3"
