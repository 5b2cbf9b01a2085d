#!/usr/bin/env bash
# What text is read as: endings, line ends, beginnings of files, folders, pipes; and whose tokens it is packed with.
# shellcheck source=tests/cli_lib.sh
. "${0%/*}/cli_lib.sh"

make_text 400 7 >text.txt
"$mm" tokenizer train --vocab-size 300 --out tokenizer.json text.txt >/dev/null || fail "tokenizer train"
pack=(pack --tokenizer tokenizer.json)
small=(--seq-len 16 --batch 8 --micro-batch 1 --threads 1 --steps 1)

# A tokenizer's own marks go with the dataset that it packed, also where there is no <|im_start|>.
mkdir own
sed 's/<|im_start|>/<|start|>/; s/<|im_end|>/<|end|>/' tokenizer.json | sed 's/<|im_start|>/<|start|>/; s/<|im_end|>/<|end|>/' >own/tokenizer.json
trouble 'own/tokenizer.json|no bos and no eos' pack --tokenizer own --out x text.txt
echo '{"bos_token": null, "eos_token": "<|endoftext|>"}' >own/tokenizer_config.json
expect 0 pack --tokenizer own --out marked text.txt
expect 0 inspect marked
has out "bos 0, eos 0"
expect 0 pack --tokenizer marked --out again text.txt
cmp -s marked/dataset.json again/dataset.json || fail "a dataset's tokenizer has lost its bos and eos"
head -n 20 text.txt >held.txt
expect 0 "${small[@]}" --data marked --val-data held.txt --val-every 1 --out run
expect 0 inspect run/val-data
has out "bos 0, eos 0"
expect 0 "${small[@]}" --model run/model --data text.txt --val-data held.txt --val-every 1 --out further
expect 0 inspect further/val-data
has out "bos 0, eos 0"

# A model without its tokenizer cannot be trained on text.
mkdir nameless
cp run/model/config.json run/model/model.safetensors nameless
trouble 'nameless/tokenizer.json|mm pack' "${small[@]}" --model nameless --data text.txt --out x
ln -s nowhere nameless/tokenizer.json
trouble 'nameless/tokenizer.json|mm pack' "${small[@]}" --model nameless --data text.txt --out x
[ -e x ] && fail "a refused run left x"

# A pipe cannot be read twice, which is said before it is read; with a tokenizer once is enough.
mkfifo pipe
cat text.txt >pipe &
writer=$!
trouble 'pipe: found a pipe|mm pack' "${small[@]}" --data pipe --out x
kill "$writer"
wait "$writer" 2>/dev/null
trouble '/dev/fd/|found a pipe' "${small[@]}" --data <(cat text.txt) --out x
expect 0 "${small[@]}" --model run/model --data <(cat text.txt) --out piped
cmp -s piped/data/tokens-00000.gz marked/tokens-00000.gz || fail "a pipe gave other tokens"

# A tokenizer goes to a folder that is made first, or the training does not begin.
expect 0 tokenizer train --vocab-size 300 --out made/for/it.json text.txt
cmp -s made/for/it.json tokenizer.json || fail "another tokenizer in another folder"
trouble 'text.txt|cannot make the folder' tokenizer train --vocab-size 900000 --out text.txt/it.json text.txt

# What a killed pack left, hidden and large, goes with the next to the same place.
"$mm" "${pack[@]}" --out killed - <pipe >/dev/null 2>&1 &
packing=$!
exec 7>pipe
wait_until compgen -G '.killed.tmp-*' >/dev/null
kill -KILL "$packing"
wait "$packing" 2>/dev/null
exec 7>&-
compgen -G '.killed.tmp-*' >/dev/null || fail "a killed pack left nothing to sweep away"
expect 0 "${pack[@]}" --out killed text.txt
compgen -G '.killed.tmp-*' >/dev/null && fail "what a killed pack left is still there"

# The way out of too many shards.
sed 's/$/\n%/' text.txt >many.txt
expect 0 "${pack[@]}" --split % --shard-tokens 1 --out shards many.txt
(
    ulimit -n 64
    "$mm" inspect shards >out 2>err
    [ $? = 2 ]
) || fail "more shards than files may be open: not exit 2"
has err "Too many open files" "ulimit -n" "--shard-tokens"

# JSON Lines by any of their names, a folder with what it leaves out, and text of other systems.
printf '{"id": 1, "text": "ba do ki"}\n{"id": 2, "text": "lu me no"}\n' >lines.jsonl
expect 0 "${pack[@]}" --out lines lines.jsonl
for name in a.ndjson a.JSONL a.json a.json.gz; do
    cp lines.jsonl "${name%.gz}"
    [ "$name" = "${name%.gz}" ] || gzip "${name%.gz}"
    expect 0 "${pack[@]}" --out "of.$name" "$name"
    cmp -s lines/tokens-00000.gz "of.$name/tokens-00000.gz" || fail "$name is not read as JSON Lines"
done
"$mm" "${pack[@]}" --field text --out from.input - <lines.jsonl >out 2>err || fail "JSON Lines of standard input: $(cat err)"
cmp -s lines/tokens-00000.gz from.input/tokens-00000.gz || fail "--field - is not read as JSON Lines"
expect 0 "${pack[@]}" --field text --out from.pipe <(cat lines.jsonl)
cmp -s lines/tokens-00000.gz from.pipe/tokens-00000.gz || fail "--field of a pipe is not read as JSON Lines"
trouble 'lines.jsonl line 1|no "text2" but "id", "text"|--field' "${pack[@]}" --field text2 --out x lines.jsonl
trouble '--field|text.txt' "${pack[@]}" --field text --out x text.txt
trouble '--skip-bad|text.txt' tokenizer train --vocab-size 300 --skip-bad --out x text.txt
trouble '--split|lines.jsonl' "${pack[@]}" --split % --out x lines.jsonl
echo '[{"text": "a"}]' >array.json
trouble "array.json|jq -c '.[]'" "${pack[@]}" --out x array.json
trouble '"": an input without a name' "${pack[@]}" --out x ""
mkdir folder
cp text.txt folder/b.TXT
touch folder/{c.md,d.text}
ln -s nowhere folder/link
expect 0 "${pack[@]}" --out of.folder folder
has out "1 document" "left out   3 files of other endings, the first: folder/c.md"
expect 0 "${pack[@]}" --json --out of.folder.2 folder
has out '"bad_lines": 0' '"other_files": 3'
printf 'ba do\r\n%%\r\nki lu\r\n' >crlf.txt
expect 0 "${pack[@]}" --split % --out of.crlf crlf.txt
has out "2 documents"
{ printf '\357\273\277'; cat text.txt; } >marked.txt
expect 0 "${pack[@]}" --out of.marked marked.txt
expect 0 "${pack[@]}" --out of.text text.txt
cmp -s of.text/tokens-00000.gz of.marked/tokens-00000.gz || fail "the mark of UTF-8 is taken for text"
iconv -f UTF-8 -t UTF-16 text.txt >wide.txt
trouble 'wide.txt: found UTF-16|iconv -f UTF-16' "${pack[@]}" --out x wide.txt
[ -e x ] && fail "a refused pack left x"
printf 'ba\351 do\n%%\nki \342\202\n\377\n%%\nlu \303\251 \357\277\275\n%%\nme\n' >latin.txt
expect 0 "${pack[@]}" --split % --val-share 0.8 --out repaired latin.txt
has out "repaired   2 documents with bytes that are not UTF-8"
expect 0 "${pack[@]}" --split % --json --out repaired.2 latin.txt
has out '"repaired_documents": 2'
expect 0 "${pack[@]}" --split % --no-special --json --out whole many.txt
has out '"repaired_documents": 0'
finish
