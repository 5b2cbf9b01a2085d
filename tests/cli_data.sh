#!/usr/bin/env bash
# Text to tokenizer to dataset, and every wrong input on that way.
# shellcheck source=tests/cli_lib.sh
. "${0%/*}/cli_lib.sh"

make_text 400 7 >text.txt
{ make_text 20 8; echo %; make_text 10 9; echo %; make_text 15 10; } >split.txt
printf '{"text": "ba do ki"}\n{"text": "lu me\\nno"}\n' >two.jsonl

# tokenizer train
expect 0 tokenizer train --vocab-size 300 --out tokenizer.json text.txt
has out "tokenizer.json" "300" "mm pack"
kept=$(cksum <tokenizer.json)
trouble 'tokenizer.json|already there' tokenizer train --vocab-size 300 --out tokenizer.json text.txt
[ "$(cksum <tokenizer.json)" = "$kept" ] || fail "a refused training changed its output"
expect 0 tokenizer train --vocab-size 300 --out again.json text.txt
cmp -s tokenizer.json again.json || fail "training twice gave two tokenizers"
trouble 'missing.txt' tokenizer train --vocab-size 300 --out x.json missing.txt
: >empty.txt
trouble 'empty.txt: no text' tokenizer train --vocab-size 300 --out x.json empty.txt
trouble 'text.txt: too little text|900000' tokenizer train --vocab-size 900000 --out x.json text.txt
[ -e x.json ] && fail "a failed training left x.json"

# encode and decode are inverse, line by line, to the byte
{ head -n 5 text.txt; printf '\n  two  blanks\tand tab\n<|im_start|>x<|im_end|>\n\303\251\344\275\240\n'; } >lines
"$mm" tokenizer encode --tokenizer tokenizer.json <lines >ids || fail "encode: exit $?"
[ "$(wc -l <ids)" = "$(wc -l <lines)" ] || fail "encode: not a line of ids for each line"
"$mm" tokenizer decode --tokenizer tokenizer.json <ids | cmp -s - lines || fail "decode is not encode's inverse"
[ "$(sed -n 8p ids | cut -d' ' -f1)" = 1 ] || fail "<|im_start|> is not token 1: $(sed -n 8p ids)"
"$mm" tokenizer encode --tokenizer tokenizer.json --no-special <lines >plain.ids || fail "--no-special: exit $?"
sed -n 8p plain.ids | grep -q '^[0-9]' || fail "--no-special: no ids: $(sed -n 8p plain.ids)"
sed -n 8p plain.ids | grep -q '^1 ' && fail "--no-special took <|im_start|> for a token"
[ "$(echo "1 4 2" | "$mm" tokenizer decode --tokenizer tokenizer.json --skip-special)" = '"' ] || fail "--skip-special"
[ "$(printf 'ba' | "$mm" tokenizer encode --tokenizer tokenizer.json | wc -l)" = 1 ] || fail "a line without a newline"
echo "1 x" | "$mm" tokenizer decode --tokenizer tokenizer.json >out 2>err
[ $? = 2 ] || fail "decode of no number: not exit 2"
has err 'line 1' '"x"'
echo "5 70000" | "$mm" tokenizer decode --tokenizer tokenizer.json >out 2>err
[ $? = 2 ] || fail "decode of an id beyond the vocabulary: not exit 2"
has err 70000
"$mm" tokenizer encode --tokenizer tokenizer.json <text.txt >/dev/full 2>err
[ $? = 2 ] || fail "a full standard output: not exit 2"
has err "standard output" "No space left"

# show and inspect
expect 0 tokenizer show --tokenizer tokenizer.json
has out "300, 41 merges, 3 special" "<|im_start|>" "<|im_end|>"
expect 0 tokenizer show --tokenizer tokenizer.json --json
has out '"vocab_size": 300' '"merges": 41'
expect 0 tokenizer show --tokenizer tokenizer.json --tokens
[ "$(wc -l <out)" = 300 ] || fail "show --tokens: $(wc -l <out) lines"
expect 0 inspect tokenizer.json
has out "300, 41 merges"
header='{"deep": {"dtype": "F32", "shape": [1, 2, 1, 2, 1], "data_offsets": [0, 16]}, "flat": {"dtype": "I8", "shape": [4], "data_offsets": [16, 20]}}'
{ printf "\\$(printf %03o ${#header})"'\0\0\0\0\0\0\0%s' "$header"; head -c 20 /dev/zero; } >deep.safetensors
expect 0 inspect deep.safetensors
has out "2 tensors, 4 numbers besides those of 1 tensor of more than 4 dimensions" "F32  more than 4 dimensions deep" "I8   4 "
expect 0 inspect deep.safetensors --json
has out '"numbers": null' '"name": "deep", "type": "F32", "shape": null' '"name": "flat", "type": "I8", "shape": [4]'
trouble 'text.txt|no known kind' inspect text.txt
trouble 'missing' inspect missing
trouble '--check|dataset.json' inspect tokenizer.json --check
mkdir bare
trouble 'bare|dataset.json' inspect bare
echo '{' >broken.json
trouble 'broken.json' tokenizer show --tokenizer broken.json
trouble 'bare' tokenizer show --tokenizer bare

# pack
expect 0 pack --tokenizer tokenizer.json --out plain text.txt
has out "plain" "1 document" "train --data plain"
expect 0 inspect plain
has out "1 document" "vocabulary 300"
expect 0 inspect plain/dataset.json --check
has out "every block"
expect 0 inspect plain --json
has out '"kind": "dataset"' '"documents": 1' '"shards": [{'
state_of plain >before
trouble 'plain|already there' pack --tokenizer tokenizer.json --out plain text.txt
state_of plain | cmp -s - before || fail "a refused pack changed its output"
expect 0 pack --tokenizer tokenizer.json --split % --val-share 0.34 --json --out parts split.txt
has out '"documents": 2' '"val_documents": 1'
expect 0 inspect parts
has out "2 documents" "parts/val"
expect 0 pack --tokenizer tokenizer.json --out lines.set two.jsonl
has out "2 documents"
gzip -k text.txt
expect 0 pack --tokenizer tokenizer.json --out zipped text.txt.gz
cmp -s plain/dataset.json zipped/dataset.json || fail "the .gz gave another dataset"
"$mm" pack --tokenizer tokenizer.json --out piped - <text.txt >out 2>err || fail "pack of standard input: $(cat err)"
cmp -s plain/dataset.json piped/dataset.json || fail "standard input gave another dataset"
trouble 'missing.txt' pack --tokenizer tokenizer.json --out x missing.txt
trouble 'missing.json' pack --tokenizer missing.json --out x text.txt
trouble 'empty.txt: found 1 document of 0 bytes' pack --tokenizer tokenizer.json --out x empty.txt
trouble 'empty.txt and 1 more file: no document' pack --tokenizer tokenizer.json --split % --out x empty.txt empty.txt
echo 'no json' >bad.jsonl
trouble 'bad.jsonl|line 1' pack --tokenizer tokenizer.json --out x bad.jsonl
{ cat two.jsonl bad.jsonl; echo '[1]'; } >mixed.jsonl
expect 0 pack --tokenizer tokenizer.json --skip-bad --workers 3 --out skipped mixed.jsonl
has out "2 documents" "left out   2 bad lines" "mixed.jsonl line 3"
cmp -s skipped/tokens-00000.gz lines.set/tokens-00000.gz || fail "--skip-bad: not the good lines"
expect 0 pack --tokenizer tokenizer.json --skip-bad --json --out skipped-2 mixed.jsonl
has out '"bad_lines": 2'
trouble 'bad.jsonl: no document, but 1 bad line left out|bad.jsonl line 1' pack --tokenizer tokenizer.json --skip-bad --out x bad.jsonl
# An interrupted pack keeps nothing, also while it waits for input.
mkfifo pipe
sh -c 'exec "$0" pack --tokenizer tokenizer.json --out cut.set - <pipe >out 2>err' "$mm" &
packing=$!
exec 7>pipe
head -n 100 text.txt >&7
wait_until compgen -G '.cut.set.tmp-*' >/dev/null
kill -INT "$packing"
wait "$packing"
[ $? = 130 ] || fail "an interrupted pack: not exit 130: $(cat err)"
exec 7>&-
find . -name 'cut.set*' -o -name '.cut.set*' | grep -q . && fail "an interrupted pack left something"
# The same of a tokenizer's training, while it reads and while it merges.
interrupt_training() {
    rm -f err # what an earlier one said is waited for no more
    sh -c 'exec "$0" tokenizer train --vocab-size 400000 --out cut.json "$1" <pipe >out 2>err' "$mm" "$1" &
    packing=$!
    exec 7>pipe
    head -n 100 text.txt >&7
    [ "$1" = - ] || exec 7>&-
    wait_for err "counting words"
    kill -INT "$packing"
    wait "$packing"
    [ $? = 130 ] || fail "an interrupted training from $1: not exit 130: $(cat err)"
    exec 7>&-
    has err "stopping"
    grep -qE "$2" err || fail "an interrupted training from $1: $(cat err)"
    find . -name 'cut.json' -o -name '.cut.json*' | grep -q . && fail "an interrupted training left something"
}
seq 1500000 | tr 0-9 a-j >words.txt
interrupt_training - "standard input: interrupted"
interrupt_training words.txt "words.txt: interrupted|interrupted; nothing was kept" # it counts, or it merges
rm words.txt
expect 0 pack --tokenizer tokenizer.json --out made/on/the/way/ text.txt
cmp -s plain/dataset.json made/on/the/way/dataset.json || fail "pack into a folder that was missing"
trouble 'text.txt|cannot' pack --tokenizer tokenizer.json --out text.txt/x text.txt
(
    ulimit -f 4
    "$mm" pack --tokenizer tokenizer.json --out x - >out 2>err < <(make_text 4000 11)
    [ $? = 2 ]
) 2>/dev/null || fail "pack beyond the file size limit: not exit 2"
has err "File too large"
[ -e x ] && fail "a failed pack left x"
find . -name '.*.tmp-*' | grep -q . && fail "a failed command left $(find . -name '.*.tmp-*' | head -n 1)"

# damage is named
cp -r plain damaged
printf 'X' | dd of=damaged/tokens-00000.gz bs=1 seek=300 conv=notrunc 2>/dev/null
trouble 'tokens-00000.gz' inspect damaged --check
cp -r plain cut
truncate -s -20 cut/tokens-00000.gz
trouble 'tokens-00000.gz' inspect cut

# more shards than files may be open by the soft limit
make_text 300 12 | sed 's/$/\n%/' >many.txt
expect 0 pack --tokenizer tokenizer.json --split % --shard-tokens 1 --out shards many.txt
[ "$(find shards -name 'tokens-*' | wc -l)" -ge 200 ] || fail "few shards: $(find shards | wc -l)"
(
    ulimit -Sn 64
    "$mm" inspect shards --check >out 2>err
) || fail "a dataset of many shards does not open: $(tail -n 1 err)"
finish
