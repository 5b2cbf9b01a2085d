#!/usr/bin/env bash
# Help, and what a wrong command line is told.
# shellcheck source=tests/cli_lib.sh
. "${0%/*}/cli_lib.sh"

# Help is whole: every command, every option of it, examples; on stdout, exit 0.
expect 0 --help
has out "Usage:" "Examples:" "train" "eval" "inspect" "pack" "tokenizer train" "tokenizer encode" "MM_DATA" "NO_COLOR"
cp out overview
expect 0 help
cmp -s out overview || fail "mm help and mm --help differ"
expect 0 --version
grep -qE '^mm [0-9]+\.[0-9]+\.[0-9]+\+(unknown|[0-9a-f]{12})(\.(changed|tree)-[0-9a-f]{8})?$' out || fail "--version: found $(cat out)"
expect 0 train --help
has out "--seed-policy rank|shared|hashed|sample" "--resume RUN" "--trace off|step|layer|op" "Examples:"
cp out train_help
expect 0 --steps 3 --help
cmp -s out train_help || fail "mm OPTION --help is not mm train --help"
expect 0 help train
cmp -s out train_help || fail "mm help train is not mm train --help"
mapfile -t commands < <(sed -n '/^Commands:/,/^$/s/^  \([a-z][a-z ]*[a-z]\)  .*/\1/p' overview)
[ "${#commands[@]}" -ge 13 ] || fail "mm help lists too few commands: ${commands[*]}"
for command in "${commands[@]}"; do
    # shellcheck disable=SC2086
    expect 0 $command --help
    has out "Usage:" "$command" "--help"
    # shellcheck disable=SC2086
    expect 0 help $command
done
expect 0 tokenizer --help
has out "tokenizer train" "tokenizer show"

# No line of help is wider than a terminal.
ln -s "$mm" mm
./mm help train | awk 'length > 80 {print "FAILED: a line of help is too wide: " $0; bad = 1} END {exit bad}' || failed=1

# The man page and the completion come from the same table.
expect 0 help --man
has out ".TH MM 1" "seed\\-policy" ".SH EXIT STATUS"
expect 0 help --completion bash
complete_words() {
    bash -c 'source "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _mm; echo "${COMPREPLY[*]}"' bash out "$@"
}
[ "$(complete_words mm train --seed-p)" = "--seed-policy" ] || fail "completion of an option"
[ "$(complete_words mm train --seed-policy ha)" = "hashed" ] || fail "completion of a choice"
[ "$(complete_words mm tokenizer en)" = "encode" ] || fail "completion of a second word"
[ "$(complete_words mm ins)" = "inspect" ] || fail "completion of a command"
[ "$(complete_words mm --thr)" = "--threads" ] || fail "completion without a command"
[ "$(complete_words mm train --seed-policy = sh)" = "shared" ] || fail "completion of --option=value"
[ "$(complete_words mm export --dtype b)" = "bf16" ] || fail "completion of a choice that is no setting"
[ "$(complete_words mm --preset mini)" = "minimind-3" ] || fail "completion of a preset"
[ "$(complete_words mm help tr)" = "train" ] || fail "completion of a command to be helped with"
touch "my book.txt" && mkdir export
[ "$(complete_words mm pack my)" = "my book.txt" ] || fail "completion of a file: $(complete_words mm pack my)"
[ "$(bash -c 'source out; COMP_WORDS=(mm pack my) COMP_CWORD=2; _mm; echo ${#COMPREPLY[@]}')" = 1 ] || fail "a name with a blank is completed as two"
[ "$(complete_words mm exp)" = "export" ] || fail "a folder takes a command's name"
trouble "fish|bash" help --completion fish
trouble '--man, --completion and a command' help --man train
expect 0 --help eval
cp out eval_help
expect 0 help eval
cmp -s out eval_help || fail "mm --help eval is not mm help eval"
expect 0 eval --seq-len abc --help
cmp -s out eval_help || fail "a value is checked before help is given"

# Wrong words and options.
trouble 'unknown option --stesp|did you mean --steps' --stesp 3
trouble 'unknown option --thread|did you mean --threads' train --thread=8
trouble 'unknown option --vocabsize|did you mean --vocab-size' tokenizer train --vocabsize 300 --out f in
trouble 'unknown option -z' -z
trouble 'unknown command "trian"|did you mean "train"' trian
trouble 'unknown command "tokeniser"|did you mean "tokenizer"' tokeniser encode
trouble 'found "encod"|did you mean "encode"' tokenizer encod
trouble 'train, encode, decode, show' tokenizer
trouble 'unknown command "nosuchthing"|mm help' nosuchthing
trouble 'nosuchthing' help nosuchthing
trouble '--steps|found nothing' --steps
trouble '--data|found the option --steps' --data --steps 3
trouble '"stray"|options only' train stray
trouble '--model: found an empty value, expected DIR' eval --model '' --data d
trouble '--data: found an empty value' eval --model d --data=
trouble 'found an empty path' diff '' d
trouble '--tokens and --json' tokenizer show --tokenizer d --tokens --json
trouble '--seed 5 and --trials 1,2' seeds --seed 5 --trials 1,2
trouble '--tokenizer is missing' pack --out d in
trouble '--model is missing' eval --data d
trouble 'mm inspect: found no name|PATH' inspect
trouble '"b" too many' inspect a b

# Seeds: which streams are the same, and the exit status that says so. One rank has nobody to share with.
for policy in rank shared hashed sample; do
    expect 0 seeds --ranks 1 --seed-policy $policy
    has out "every stream that must differ differs"
    expect 1 seeds --ranks 8 --seed-policy $policy --trials 5,5
    has out "SHARED across trials" "--trials has seed 5 more than once; give each trial a seed of its own"
    grep -qF -- --seed-policy out && fail "mm seeds of a seed given twice: another policy does not help"
done
for policy in rank hashed sample; do expect 0 seeds --ranks 8 --seed-policy $policy; done
for ranks in 2 8; do
    expect 1 seeds --ranks $ranks --seed-policy shared
    has out "SHARED across ranks: embedding_dropout" "SHARED across ranks: token_noise"
done
expect 1 seeds --ranks 8 --trials 1337,1338
has out "choose another --seed-policy"
expect 0 seeds --ranks 8 --trials 1337,1338 --seed-policy hashed
expect 0 seeds --ranks 8 --trials 1337,1338 --seed-policy sample
expect 0 seeds
cp out standard
expect 0 seeds --ranks 8 --seed 1337 --seed-policy rank
cmp -s out standard || fail "mm seeds has other defaults than its help says"
expect 1 seeds --ranks 2 --seed-policy shared --json
has out '"streams"' '"shared"' '"holds": false' '"purpose": "embedding_dropout", "trial": 1337, "rank": 1, "key": "0000000000000539"' \
    '"purpose": "initial_weights", "trial": 1337, "rank": null' '"across": "ranks"' '"members"'
expect 0 seeds --json --ranks 1 --seed 9007199254740993
has out '"holds": true' '"trial": "0x0020000000000001"'
# A trial is written as --seed is.
expect 1 seeds --ranks 1 --trials 017,17
expect 1 seeds --ranks 1 --trials 0x11,17
expect 0 seeds --ranks 1 --trials 017,15
for words in '1, 2' +1 -1 1,x 1.5 18446744073709551616; do trouble '--trials|expected a whole number' seeds --trials "$words"; done
for words in , 1, ,1 1,,2; do trouble '--trials: found an empty value' seeds --trials "$words"; done

# Numbers out of range, choices that are none.
trouble '--steps|0' --steps 0
trouble '--steps|-5' --steps -5
trouble '--steps|ten' --steps ten
trouble '--dropout|1.5' --dropout 1.5
trouble '--dropout|nan' --dropout nan
trouble '--lr|-1' --lr -1
trouble '--seq-len|0' --seq-len 0
trouble '--workers|0' --workers 0
trouble '--ranks|-2' --ranks -2
trouble '--seed|0x' --seed 0x
trouble '--seed-policy|ranks|rank|shared|hashed|sample' --seed-policy ranks
trouble '--trace|all|layer' --trace all
trouble '--vocab-size 258|259' tokenizer train --vocab-size 258 --out f in
trouble '--val-share 1.5' pack --tokenizer t --out d --val-share 1.5 in

# Settings that contradict each other.
trouble '--out|--resume' --resume r --out o
trouble '--preset|--model' --preset tiny --model m
trouble '--batch 24|nearest|16 or 32' --data . --threads 4 --micro-batch 4 --batch 24
trouble '--batch 1000000|nearest: --batch 524288' --data . --ranks 8 --micro-batch 1 --batch 1000000
grep -qF 1048576 said && fail "a batch over the limit is offered: $(cat said)"
trouble '--micro-batch 65536 on 65536 ranks|4294967296|1000000' --data . --ranks 65536 --micro-batch 65536 --batch 7
trouble '--micro-batch 65536 on 65536 ranks|4294967296|1000000' --data . --ranks 65536 --micro-batch 65536
finish
