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
finish
