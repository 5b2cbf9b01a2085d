#!/usr/bin/env python3
"""Writes tokenizer.h: what Hugging Face's `tokenizers` (pip install tokenizers) makes of a text of our own, its merges
and the ids of odd texts with several pre-tokenisers and added tokens.

    tests/golden/tokenizer.py > tests/golden/tokenizer.h
"""
import json
import textwrap

import tokenizers
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

TEXT = "".join([
    "The miller's cat sat on the mill's wall, and the wall sat on the hill. ",
    "They'll say that it's the same cat; we've seen it, I'm sure, and you'd say it, too.\n",
    "In the year 1200 there were 12 mills; in 1212, 121 mills and 2112 cats.\n\n",
    "\tif (cats > mills) {\n\t\tcount += 12;\n\t}\n",
    "    return count;    // the count of the cats\n",
    "Die Mühle steht überm Fluß, die Möwe über der Mühle. ",
    "Мельница стоит на холме, кот сидит на стене. ",
    "磨坊在山上，猫在墙上。猫看山，山看猫。",
    "القطة على الجدار والجدار على التل. ",
    "The cat, the wall, the mill, the hill: aaaa aaaaaaaa aaa.\n",
])

SPECIALS = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
BYTES = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}
QWEN = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"
        r"|\s+(?!\S)|\s+")
LLAMA = QWEN.replace(r"|\p{N}|", r"|\p{N}{1,3}|")


def split(pattern, behavior="Isolated", invert=False):
    return {"type": "Split", "pattern": {"Regex": pattern}, "behavior": behavior, "invert": invert}


def sequence(*steps):
    return {"type": "Sequence", "pretokenizers": list(steps)}


PRETOKENIZERS = {
    "none": None,
    "GPT-2": dict(BYTES, use_regex=True),
    "GPT-2 with a space in front": dict(BYTES, use_regex=True, add_prefix_space=True),
    "bytes": BYTES,
    "Qwen": sequence(split(QWEN), BYTES),
    "Llama 3": sequence(split(LLAMA), BYTES),
    "single digits": sequence({"type": "Digits", "individual_digits": True}, dict(BYTES, use_regex=True)),
    "digits": sequence({"type": "Digits", "individual_digits": False}, BYTES),
    "lines": sequence(split(r"^\s*|\w+$"), BYTES),
    "removed": sequence(split(r"\s+", "Removed"), BYTES),
    "kept": sequence(split(r"[^\s]+", "Removed", True), BYTES),
    "contiguous": sequence(split(r"\s", "Contiguous"), BYTES),
    "previous": sequence(split(r"\s|t", "MergedWithPrevious"), BYTES),
    "next": sequence(split(r"\s|t", "MergedWithNext"), BYTES),
}

TEXTS = [
    "", " ", "the cat", " the cat's", "The  mill\n\n wall \n", "1212 2112x12\u0662\u0663\u00b2", "I'M we'Ll 'S '\u017f",
    "\r\n\t  x\u00a0y\u3000z\u2028w\u0085v", "\u180e\u200bcat\ufeff \u1680", "M\u00fchle Mu\u0308hle",
    "\u732b\u5728\u5899\u4e0a\u3002", "\u0627\u0644\u0642\u0637\u0629 \u05d0", "\U0001f468\u200d\U0001f469 \u2764\ufe0f",
    "a<|im_start|>the<|im_end|>\n<|im_start|><|im_", "x <s> y<s>", "hill </s>  wall", "the milk milk\u0308 milks amilk",
    "\u732b\u5c71 \u732b", "  <m>  <m> ", "a\0b\0", "count += 12;    // the",
]

ADDED = [
    {"content": "<s>", "lstrip": True, "special": True}, {"content": "</s>", "rstrip": True},
    {"content": "milk", "single_word": True}, {"content": "<m>", "lstrip": True, "rstrip": True, "normalized": True},
    {"content": "\u732b", "normalized": True}, {"content": "\u732b\u5c71", "normalized": True},
]


def trained(size):
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    tokenizer.train_from_iterator([TEXT], trainers.BpeTrainer(vocab_size=size, special_tokens=SPECIALS,
                                                              initial_alphabet=alphabet, show_progress=False))
    return json.loads(tokenizer.to_str())


def added_tokens(count, size):
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": False}
    tokens = [{"id": i, "content": s, **flags, "special": True} for i, s in enumerate(SPECIALS)]
    return tokens + [{"id": size + i, **flags, **a} for i, a in enumerate(ADDED[:count])]


def literal(raw):
    return '"' + "".join(chr(b) if 0x20 <= b < 0x7f and chr(b) not in "\"\\?" else f"\\{b:03o}" for b in raw) + '"'


def define(name, text, width=88):
    raw = text.encode()
    pieces = [literal(raw[i:i + width]) for i in range(0, len(raw), width)]
    print(f"static const char {name}[] =\n    " + "\n    ".join(pieces) + ";\n")


def main():
    size = 400
    trained_json = trained(size)
    model = trained_json["model"]
    compact = {"ensure_ascii": False, "separators": (",", ":")}
    print("// Made by tokenizer.py with tokenizers " + tokenizers.__version__ + ": do not edit.\n#include <stddef.h>\n")
    define("golden_text", TEXT)
    print("// vocab and merges that the library's trainer makes of the text.")
    define("golden_model", json.dumps({k: model[k] for k in ("vocab", "merges")}, **compact)[1:-1])
    print(f"enum {{ GOLDEN_VOCAB = {size}, GOLDEN_TEXTS = {len(TEXTS)} }};\n")
    print("static const struct golden_text {\n    const char *text;\n    size_t size;\n} golden_texts[] = {")
    for text in TEXTS:
        print(f"    {{{literal(text.encode())}, {len(text.encode())}}},")
    print("};\n\nstatic const struct golden_case {\n    const char *name, *pre_tokenizer, *added_tokens, *ignore_merges;")
    print("    const char *ids[GOLDEN_TEXTS];\n} golden_cases[] = {")
    cases = [(name, 0, False) for name in PRETOKENIZERS]
    cases += [(name, len(ADDED), True) for name in ("GPT-2", "Qwen", "bytes")]
    for name, count, ignore in cases:
        added = added_tokens(count, size)
        whole = dict(trained_json, pre_tokenizer=PRETOKENIZERS[name], added_tokens=added,
                     model=dict(model, ignore_merges=ignore))
        library = Tokenizer.from_str(json.dumps(whole))
        print(f"    {{{literal(name.encode())},")
        for part in (PRETOKENIZERS[name], added, ignore):
            print(f"     {literal(json.dumps(part, **compact).encode())},")
        ids = [" ".join(map(str, library.encode(text, add_special_tokens=False).ids)) for text in TEXTS]
        print("     {" + textwrap.fill(", ".join(f'"{i.replace(" ", "_")}"' for i in ids), 100,
                                       subsequent_indent="      ", break_long_words=False,
                                       break_on_hyphens=False).replace("_", " ") + "}},")
    print("};")


if __name__ == "__main__":
    main()
