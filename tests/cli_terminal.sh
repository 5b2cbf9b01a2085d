#!/usr/bin/env bash
# What a terminal sees, and Ctrl-C.
# shellcheck source=tests/cli_lib.sh
. "${0%/*}/cli_lib.sh"

make_text 400 7 >text.txt
"$mm" tokenizer train --vocab-size 300 --out tokenizer.json text.txt >/dev/null || fail "tokenizer train"
"$mm" pack --tokenizer tokenizer.json --out data text.txt >/dev/null || fail "pack"
small="--data data --seq-len 16 --batch 8 --micro-batch 1 --threads 4 --trace off --save-every 0"
escape=$'\033'

# terminal NAME COMMAND: runs it on a terminal of 60 columns.
terminal() { TERM=xterm script -qec "stty cols 60; $2" "$1" >/dev/null </dev/null; }

terminal coloured "'$mm' $small --steps 40 --out a"
has coloured $'\r'"${escape}[K" "${escape}[2m" "step   40/40"
# At most six redraws a second: before the first step, and a few beside them, there may be a line more.
now() { echo "${EPOCHREALTIME//[!0-9]/}"; } # whatever the locale's point
began=$(now)
TERM=xterm script -qec "stty cols 80; '$mm' $small --val-data data --val-every 25 --steps 200 --out quick" fast >/dev/null </dev/null
redraws=$(tr -cd '\r' <fast | wc -c) seconds=$((($(now) - began) / 1000000 + 1))
lines=$(grep -c $'\r$' fast) # the terminal itself ends a line with one
[ $((redraws - lines)) -le $((6 * seconds + 4)) ] || fail "$((redraws - lines)) redraws in $seconds s"
# The time left is to be seen on 80 columns, with the validation loss before it, in lines that are redrawn; those that
# stay are not cut.
redrawn() {
    awk -v RS='\r' 'NR > 1 && !/^\n/ {print last} {sub(/^\n/, ""); last = $0}' "$1" | sed "s/${escape}\[[0-9;]*[A-Za-z]//g" | grep '^step'
}
redrawn fast | grep -qE 'val [0-9.]+  eta [0-9hms.]+ of [0-9hms.]+  [0-9,]+ tok/s' || fail "no time left on a terminal: $(redrawn fast | tail -n 3)"

# Elsewhere a plain line: the first step, the last, and between them one in ten seconds.
SECONDS=0
# shellcheck disable=SC2086
expect 0 $small --steps 40 --out quiet
[ "$(grep -c '^step' err)" -le $((3 + SECONDS / 10)) ] || fail "a pipe got $(grep -c '^step' err) lines of 40 steps"
has err "step    1/40" "step   40/40"

terminal plain "NO_COLOR=1 '$mm' $small --steps 40 --out b"
grep -qF "${escape}[2m" plain && fail "colour in spite of NO_COLOR"
terminal empty "NO_COLOR= '$mm' $small --steps 2 --out c"
grep -qF "${escape}[2m" empty || fail "an empty NO_COLOR took the colour"
terminal dumb "TERM=dumb '$mm' $small --steps 2 --out d"
grep -qF "$escape" dumb && fail "escape sequences in spite of TERM=dumb"
has dumb "step    2/2"

# A redrawn line is cut to the terminal's width; lines that stay are whole.
redrawn coloured | awk 'length > 59 {print "FAILED: a redrawn line of " length " columns: " $0; bad = 1} END {exit bad || !NR}' ||
    fail "redrawn lines: $(redrawn coloured | head -n 3)"

# What stands in a file is not the terminal's to obey: control characters, in UTF-8 and bare, and what turns text
# around. Names are one line wherever they go.
safetensors() { # FILE HEADER
    { printf "\\$(printf %03o ${#2})"'\0\0\0\0\0\0\0%s' "$2"; } >"$1"
}
safetensors names.safetensors '{"a\u001b[31m\u007fb\u009b2Jc\u202ed\nF32  [9]  e\tf": {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]}}'
terminal named "'$mm' inspect names.safetensors"
has named "a [31m b 2Jc d F32  [9]  e f"
expect 0 inspect names.safetensors
has out "a [31m b 2Jc d F32  [9]  e f"
[ "$(wc -l <out)" = 3 ] || fail "a name forged a line: $(cat out)"
expect 0 inspect names.safetensors --json
has out "\"a\\u001b[31m"$'\177b\302\2332Jc\342\200\256d\\nF32  [9]  e\\tf"'
terminal json "'$mm' inspect names.safetensors --json"
has json "\"a\\u001b[31mb2Jcd\\nF32"

# A prompt is echoed to a terminal, and text of tokens goes there; a pipe gets every byte.
attack=$'ba\033]0;owned\a\302\2332J\2332J\342\200\256ki\303\251\tdo'
printf %s "$attack" >prompt.txt
terminal echoed "NO_COLOR=1 '$mm' generate --model a/model --max-tokens 1 --temperature 0 <prompt.txt"
has echoed $'ba]0;owned2J2Jki\303\251'
for sign in $'\033]' $'\a' $'\302\233' $'\233' $'\342\200\256'; do
    LC_ALL=C grep -qaF "$sign" echoed && fail "the prompt's echo held $(printf %q "$sign")"
done
"$mm" tokenizer encode --tokenizer tokenizer.json <prompt.txt >ids || fail "encode: exit $?"
terminal decoded "'$mm' tokenizer decode --tokenizer tokenizer.json <ids"
has decoded $'ba]0;owned2J'
LC_ALL=C grep -qaF $'\302\233' decoded && fail "decode sent a control character to a terminal"
"$mm" tokenizer decode --tokenizer tokenizer.json <ids >out || fail "decode: exit $?"
has out $'ba\033]0;owned\a\302\2332J'

# start NAME ARGUMENT...: in the background, its pid in $pid.
start() {
    local name=$1
    shift
    # shellcheck disable=SC2086
    "$mm" $small "$@" --out "$name" >"$name.out" 2>"$name.err" </dev/null &
    pid=$!
}

# Ctrl-C once: the step is finished and saved, and the run goes on from there.
for signal in INT TERM; do
    start "once$signal" --schedule constant --steps 1000000
    wait_for "once$signal.err" "step " || kill -KILL "$pid"
    kill -"$signal" "$pid"
    wait "$pid"
    [ $? = 130 ] || fail "SIG$signal: not exit 130"
    has "once$signal.err" "finishing this step, then saving" "stopped after step" "--resume once$signal"
    done=$(wc -l <"once$signal/metrics.jsonl")
    [ -s "$(printf '%s/checkpoints/step-%06d/state.json' "once$signal" "$done")" ] || fail "SIG$signal: step $done is not saved"
    expect 0 --resume "once$signal" --steps $((done + 2))
    [ "$(wc -l <"once$signal/metrics.jsonl")" = $((done + 2)) ] || fail "SIG$signal: the run did not go on"
    [ "$(cut -d: -f2 "once$signal/metrics.jsonl" | cut -d, -f1 | tr -d ' ' | sort -n | uniq | wc -l)" = $((done + 2)) ] ||
        fail "SIG$signal: steps are missing or double"
done

# Ctrl-C twice ends at once: a step of this run takes long, and nothing of it is saved.
start twice --seq-len 256 --batch 4096 --steps 2 --workers 1
wait_for twice.err "memory" || kill -KILL "$pid"
kill -INT "$pid"
wait_for twice.err "Ctrl-C again ends at once"
kill -INT "$pid"
wait "$pid"
[ $? = 130 ] || fail "SIGINT twice: not ended by the signal"
grep -q "stopped after" twice.err && fail "SIGINT twice: the step was finished"
[ -z "$(ls twice/checkpoints 2>/dev/null)" ] || fail "SIGINT twice: something was saved"

# A reader that goes away does not end the run.
# shellcheck disable=SC2086
{ "$mm" $small --steps 30 --out piped 2>&1 >/dev/null; echo $? >piped.status; } | head -n 1 >/dev/null
[ "$(cat piped.status)" = 0 ] || fail "a closed pipe ended the run: $(cat piped.status)"
[ "$(wc -l <piped/metrics.jsonl)" = 30 ] || fail "a closed pipe cut the run"

# Something is said within a tenth of a second even when the work takes long; here a pipe to standard input that stays
# silent stands for it.
mkfifo silent
"$mm" tokenizer train --vocab-size 300 --out x.json - <silent >/dev/null 2>said &
pid=$!
exec 9>silent
wait_for said "counting words ..."
exec 9>&-
wait "$pid"
[ $? = 2 ] || fail "an empty standard input: not exit 2"

# What another made meanwhile stays, and a refusal leaves nothing.
rm said
"$mm" tokenizer train --vocab-size 300 --out taken.json - <silent >/dev/null 2>said &
pid=$!
exec 9>silent
wait_for said "counting words ..."
echo mine >taken.json
cat text.txt >&9
exec 9>&-
wait "$pid"
[ $? = 2 ] || fail "tokenizer train over a file that came meanwhile: not exit 2"
[ "$(cat taken.json)" = mine ] || fail "tokenizer train replaced a file that came meanwhile"
find . -name '.*.tmp-*' | grep -q . && fail "tokenizer train left $(find . -name '.*.tmp-*')"
finish
