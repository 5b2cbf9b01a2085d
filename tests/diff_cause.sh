#!/usr/bin/env bash
# mm diff names the cause: rates that floats do not tell apart, data in other shards, facts that cannot be told apart.
# diff_cause.sh MM
here=$(cd "${0%/*}" && pwd)
# shellcheck source=tests/cli_lib.sh
. "$here/cli_lib.sh"
# shellcheck source=tests/diff_lib.sh
. "$here/diff_lib.sh"
make_data
train base
train off --trace off

# --- learning rates
# Rates that make the same floats: each run has its own, and no record differs before another number does.
train near --lr 0.00300000000001
near="--lr 0.00300000000001 (run A: 0.003)"
parts configuration 1 "in the learning rate|$near|nothing else in their records differs, to step 4" base near
train near-off --lr 0.00300000000001 --trace off
parts configuration 1 "in the learning rate|$near|nothing else in their records differs, to step 4" off near-off
has out '"b": 0.00300000000001'
copy near && sed -i '3s/"lr": 0/"lr": 1/' B/metrics.jsonl
for pair in "base B" "B base" "near B"; do
    # shellcheck disable=SC2086
    damaged "B/metrics.jsonl: step 3 has lr 1.0" diff $pair --json
    has out "by the settings of run.json" '"first": {"step": 3'
done
copy near && record '/"step":3,.*"leaf":5.*"op":"loss"/s/"xxh128":".../"xxh128":"000/'
expect 1 diff base B
has out "part at step 3, in the forward pass (its loss) on rank 2 (leaf 5)"
copy near && record '/"step":2,.*"op":"adamw".*"model.norm.weight"/s/"xxh128":".../"xxh128":"000/'
rm -r B/checkpoints/step-000002
parts configuration 2 "in the update of model.norm|$near; the learning rate was 0.00030000000000" base B

# One run's rate is not its own, and the update differs.
train last --warmup 0
copy last && sed -i '4s/"lr": 0/"lr": 1/' B/metrics.jsonl && rm -r B/checkpoints/step-000004 && ln -sfn checkpoints/step-000002 B/model
record '/"step":4,.*"op":"adamw"/s/"xxh128":".../"xxh128":"000/'
parts hardware 4 "the learning rate was 1.0003 (run A: 0.0003), though the settings of run B give 0.0003|this machine repeats run A but not run B" last B

# --- seeds
train large --seed 0xfedcba9876543210
parts weights 1 "--seed 18364758544493064720 (run A: 1337)" base large
has out '"key": "seed", "a": 1337, "b": "0xfedcba9876543210"'
train two --seed-policy shared --dropout 0.3
parts seed 1 "--seed-policy shared (run A: rank); run B also has --dropout 0.3 (run A: 0.2), which may explain it as well" base two
train seven --seed 7
parts weights 1 "in the inputs that were read|run B drew it with --seed 7 (run A: 1337), and its inputs as well." base seven

# A seed explains nothing where one of the runs does not draw by it.
train hashed-order --seed-policy hashed --order sequential
parts configuration 1 "in the inputs that were read|: run B has --order sequential (run A: shuffled)." base hashed-order
train ranks-order --ranks 2 --order sequential
parts configuration 1 "in the inputs that were read|: run B has --order sequential (run A: shuffled)." base ranks-order
train still --dropout 0
train moving --dropout 0.1 --seed-policy hashed
parts configuration 1 "embedding_dropout|: run B has --dropout 0.1 (run A: 0)." still moving
train fixed --model base/model --order sequential --dropout 0
train noisy --model base/model --order sequential --dropout 0 --seed 7 --token-noise 0.1
parts configuration 1 "in the inputs that were read|: run B has --token-noise 0.1 (run A: 0)." fixed noisy
train other-seed --model base/model --order sequential --dropout 0 --seed 7
same fixed other-seed "--seed"
expect 0 diff --json fixed other-seed && grep -q '"key": "seed", "a": 1337, "b": 7, "may_change_bits": false' out ||
    fail "a seed that nobody draws by may change bits: $(head -c 600 out)"
train alone --ranks 1 --seed-policy rank
train alone-shared --ranks 1 --seed-policy shared
same alone alone-shared "--seed-policy"
expect 0 diff --json alone alone-shared
has out '"key": "seed_policy", "a": "rank", "b": "shared", "may_change_bits": false'

# Of runs with other ranks each is run again: they keep other sums.
train still-two --dropout 0 --ranks 2
copy still-two && record '/"step":3,.*"leaf":5.*"op":"loss"/s/"xxh128":".../"xxh128":"000/'
rm -r B/checkpoints/step-000004 && ln -sfn checkpoints/step-000002 B/model
parts hardware 3 "this machine repeats run A but not run B" still B
parts hardware 3 "this machine repeats run B but not run A" B still

# --- data
sed '5,300s/^../zu/' words.txt >other.txt && run pack --tokenizer tokenizer.json --out other other.txt
train other-order --data other --order sequential
parts data 1 "they differ first in document 0, token|run B also has --order sequential (run A: shuffled), which may explain it as well" base other-order
train batch16 --batch 16 --data other --seed-policy shared --dropout 0.3 --beta1 0.8
parts configuration 1 "run B has --batch 16 (run A: 8); their leaves hold other samples, so that it cannot be told apart from data.xxh128" base batch16
has out "), --seed-policy shared (run A: rank), --dropout 0.3 (run A: 0.2)\""

# Without a trace data that are read later explain nothing.
{ cat words.txt; echo ba; } >longer.txt && run pack --tokenizer tokenizer.json --out longer longer.txt
train first-part --order sequential --steps 2 --trace off
train later-data --order sequential --steps 2 --trace off --data longer --dropout 0.3
parts configuration 1 "run B has --dropout 0.3 (run A: 0.2)" first-part later-data

# Run side by side they part nowhere: a line was changed.
train first-longer --order sequential --steps 2 --trace off --data longer
copy first-longer && sed -i '2s/"loss": 5/"loss": 4/' B/metrics.jsonl
rm -r B/checkpoints B/model
parts hardware 2 "this machine repeats run A but not run B" first-part B

# The same tokens in other shards are no other data.
awk '{ print; if (NR % 10 == 0) print "%" }' words.txt >split.txt
run pack --tokenizer tokenizer.json --split % --out whole split.txt
run pack --tokenizer tokenizer.json --split % --out shards --shard-tokens 5000 split.txt
[ -e shards/tokens-00001.gz ] || fail "one shard: $(ls shards)"
train whole-run --data whole
train cut --data shards
same whole-run cut data.xxh128
train shards-order --data shards --order sequential
parts configuration 1 "in the inputs that were read|: run B has --order sequential (run A: shuffled)." whole-run shards-order
tr '\n' ' ' <out | grep -q '"key": "data.xxh128"[^}]*"may_change_bits": false' || fail "the same tokens may change bits: $(head -c 400 out)"
train documents --packing document --data whole
train shards-documents --packing document --data shards --dropout 0.3
parts configuration 1 "embedding_dropout on rank 0|run B has --dropout 0.3 (run A: 0.2).|repeats" documents shards-documents

# A vocabulary that the data brought, and a folder of weights that was changed.
run tokenizer train --vocab-size 320 --out tokenizer320.json words.txt
run pack --tokenizer tokenizer320.json --out data320 words.txt
train wide --data data320
parts data 1 "run B read other data: data.xxh128|, whose vocabulary of 320 (run A: 300) shapes the weights|differ first in document 0" base wide
train wide-seed --data data320 --seed 3
parts data 1 "vocabulary of 320 (run A: 300) shapes|run B also has --seed 3 (run A: 1337), which may explain it as well" base wide-seed
cp -r base/model/ model && train from-base --model model
rm -r model && cp -r large/model/ model && train from-large --model model --seed 2
parts weights 1 "first in the tensor model.|; the folder --model $PWD/model held other weights." from-base from-large

# --- another program goes on
version=$("$mm" --version | cut -d' ' -f2)
train half --schedule constant --warmup 0 --steps 2
copy half && reseal '/"build": {/,/}/s/"version": "[^"]*"/"version": "other"/'
rm -r B/checkpoints B/model && expect 0 --resume B --steps 4 # from the beginning
has B/run.json '"continued": [' '"after": 0'
copy half && reseal '/"build": {/,/}/s/"version": "[^"]*"/"version": "other"/'
expect 0 --resume half --steps 4 && expect 0 --resume B --steps 4
! grep -q continued half/run.json || fail "the same program went on: $(grep -A 3 continued half/run.json)"
has B/run.json '"continued": [' '"after": 2'
expect 0 inspect B
has out "made with  mm other, GEMM" "then       from step 3 on mm "
expect 0 inspect B --json
has out '"continued": [{"after": 2, "version": "'
same half B "build.version"
cp -r B resumed
# The steps after the second are this program's in both runs, those before are not.
record '/"step":3,.*"leaf":5.*"op":"loss"/s/"xxh128":".../"xxh128":"000/'
parts hardware 3 "this machine repeats run A but not run B" half B
rm -r B/checkpoints/step-000002 && record '/"step":2,.*"leaf":5.*"op":"loss"/s/"xxh128":".../"xxh128":"000/'
parts code 2 "another program made run B: build.version other (run A: $version)." half B
# other SED KEY: B is the resumed run, begun by this program, whose run.json is changed by sed, so that the key differs;
# then its step 3 differs.
other() {
    rm -r B && cp -r resumed B && reseal "/\"build\": {/,/}/s/\"version\": \"other\"/\"version\": \"$version\"/; $1"
    same half B "they differ in $2 from step 3."
    record '/"step":3,.*"leaf":5.*"op":"loss"/s/"xxh128":".../"xxh128":"000/'
}
other '/"continued"/,/}/s/"version": "[^"]*"/"version": "third"/' build.version
parts code 3 "another program made run B: build.version third (run A: $version) since run B was resumed after step 2." half B
has out '"key": "build.version", "a": "'"$version"'", "b": "third", "may_change_bits": true, "from": 3}'
expect 1 diff half B
has out "from step 3: build.version"
parts code 3 "(run A: third) since run A was resumed after step 2." B half
other '/"continued"/,/"cpu"/s/"cpu": "[^"]*"/"cpu": "Another"/' machine.cpu
parts hardware 3 "this machine repeats run A but not run B|; machine.cpu Another (run A: |) since run B was resumed after step 2" half B
# What is made again is by who makes it.
rm -r B/checkpoints/step-000004 && ln -sfn checkpoints/step-000002 B/model
expect 0 --resume B
! grep -q Another B/run.json || fail "what was made again is another machine's: $(grep Another B/run.json)"
finish
