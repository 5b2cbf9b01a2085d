#!/usr/bin/env python3
"""Compares mm's ids with those of Hugging Face's `tokenizers` (pip install tokenizers): of text files, whole and line by
line, and of generated odd strings. Both read the same tokenizer.json; mm's ids come out of `mm pack`.

    tools/check-tokenizer.py --mm build/tools/mm tokenizer.json TEXT...
"""
import argparse
import array
import gzip
import json
import pathlib
import random
import subprocess
import sys
import tempfile
import unicodedata

import tokenizers

BLANKS = [chr(c) for c in (0x09, 0x0A, 0x0B, 0x0C, 0x0D, 0x1C, 0x1F, 0x20, 0x85, 0xA0, 0x1680, 0x180E, 0x2000, 0x2003,
                           0x2009, 0x200A, 0x200B, 0x200C, 0x200D, 0x2028, 0x2029, 0x202F, 0x205F, 0x2060, 0x3000,
                           0xFEFF)] + ["\r\n", "  ", " ", " ", "\n", "\n\n", "\t\t"]
DIGITS = list("0123456789") + [chr(c) for c in (0x660, 0x669, 0x6F5, 0x966, 0xE51, 0xB2, 0xBD, 0x2167, 0x2460, 0x3007,
                                                0x3021, 0x3289, 0xFF11, 0x10107, 0x1D7D8, 0x1F101)]
MARKS = [chr(c) for c in (0x300, 0x301, 0x308, 0x327, 0x345, 0x483, 0x5B0, 0x64B, 0x93C, 0x94D, 0xE31, 0x20D0, 0x3099,
                          0xFE0F, 0xFE20, 0x1D165)]
EMOJI = ["\U0001F600", "\U0001F468\u200d\U0001F469\u200d\U0001F467", "\U0001F44D\U0001F3FD", "\U0001F1E9\U0001F1EA",
         "\u2764\ufe0f", "3\ufe0f\u20e3", "\U0001F3F4\U000E0067\U000E0062\U000E007F", "\u263a"]
WORDS = {
    "latin": "the of and Hello world's I'm we'll they've IT'S don't can't 'twas naïve façade Straße ſ İstanbul Kelvin K".split(),
    "cjk": "你好 世界 日本語 テスト ひらがな 한국어 漢字かな交じり文 〇一二三 。 ， 「」 ！".split(),
    "decomposed": ["e\u0301", "o\u0323\u0302", "\u1112\u1161\u11ab", "\uac00\u11a8", "\u304b\u3099", "\uf900", "\u212b",
                   "\u0958", "\ufb2a", "\u0344", "\u09c7\u09be", "\U0002f800"],
    "rtl": "שלום עולם مرحبا بالعالم ١٢٣ פּ ﷺ ‏ ‎".split(" "),
    "other": "Привет мир Ελληνικά नमस्ते สวัสดี ქართული አማርኛ ᏣᎳᎩ ᠮᠣᠩᠭᠣᠯ Ⅷ ǅ ʰ ª º".split(),
    "code": ["def f(x):", "    return x**2", "if (a && b) {", "}\n", "//", "/* */", "#include <stdio.h>\n", "0x1F", "a_b",
             "$x->{y}", "\\n", "'s", "'S", "''ll", "`", "<html>", "&amp;", "1e-5", "3.14", "--", "=>", "__init__"],
    "special": ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|im_start|", "<|", "|>", "<<|im_end|>>", " <|im_end|> "],
}


def any_character(draw):
    while True:
        c = draw.choice((draw.randrange(0x300), draw.randrange(0x10000), draw.randrange(0x110000)))
        # Letters are added from one version of Unicode to the next; only what all know is compared.
        if not 0xD800 <= c <= 0xDFFF and unicodedata.category(chr(c)) != "Cn":
            return chr(c)


def odd_string(draw, added):
    kinds = [BLANKS, DIGITS, MARKS, EMOJI, *WORDS.values()]
    if added:
        kinds.append(added)
    kinds = draw.sample(kinds, draw.randint(1, 4))
    parts = []
    for _ in range(draw.randint(0, 14)):
        roll = draw.random()
        part = any_character(draw) if roll < 0.1 else draw.choice(draw.choice(kinds))
        parts.append(part * (draw.randint(1, 6) if draw.random() < 0.15 else 1))
        if draw.random() < 0.3:
            parts.append(draw.choice(BLANKS))
    return "".join(parts)


def texts_of(files, draw, count, added):
    for name in files:
        text = pathlib.Path(name).read_bytes().decode("utf-8", "replace")
        yield text
        yield from text.splitlines(keepends=True)
    for _ in range(count):
        yield odd_string(draw, added)


def packed_ids(mm, tokenizer, texts):
    """One list of ids for each text, without bos and eos."""
    with tempfile.TemporaryDirectory() as folder:
        source, out = pathlib.Path(folder, "texts.jsonl"), pathlib.Path(folder, "packed")
        with source.open("w", encoding="ascii") as lines:
            for text in texts:
                lines.write(json.dumps({"text": text}) + "\n")
        subprocess.run([mm, "pack", "--tokenizer", tokenizer, "--out", out, source], check=True,
                       stdout=subprocess.DEVNULL)
        dataset = json.loads((out / "dataset.json").read_text())
        for shard in dataset["shards"]:
            tokens, ends = array.array({2: "H", 4: "I"}[dataset["token_bytes"]]), array.array("Q")
            tokens.frombytes(gzip.decompress((out / shard["tokens"]).read_bytes()))
            ends.frombytes(gzip.decompress((out / shard["documents"]).read_bytes()))
            if sys.byteorder == "big":
                tokens.byteswap()
                ends.byteswap()
            start = 0
            for end in ends:
                yield tokens[start + 1:end - 1].tolist()
                start = end


def report(texts, ours, theirs, most=10):
    different = 0
    for text, a, b in zip(texts, ours, theirs, strict=True):
        if a == b:
            continue
        different += 1
        if different <= most:
            at = next((i for i, (x, y) in enumerate(zip(a, b)) if x != y), min(len(a), len(b)))
            print(f"differs from id {at} on: {text[:200]!r}\n  mm         {a[at:at + 12]}\n  tokenizers {b[at:at + 12]}")
    return different


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mm", default="build/tools/mm", help="the program (default: %(default)s)")
    parser.add_argument("--strings", type=int, default=20000, help="odd strings (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="of the odd strings (default: %(default)s)")
    parser.add_argument("tokenizer", help="a tokenizer.json")
    parser.add_argument("text", nargs="*", help="text files")
    options = parser.parse_args()

    library = tokenizers.Tokenizer.from_file(options.tokenizer)
    added = [token.content for token in library.get_added_tokens_decoder().values()]
    texts = list(texts_of(options.text, random.Random(options.seed), options.strings, added))
    theirs = [e.ids for e in library.encode_batch_fast(texts, add_special_tokens=False)]
    different = report(texts, packed_ids(options.mm, options.tokenizer, texts), theirs)
    print(f"seed {options.seed}: {len(texts):,} texts, {sum(map(len, texts)):,} characters, "
          f"{sum(map(len, theirs)):,} ids: {different:,} texts differ")
    return 1 if different else 0


if __name__ == "__main__":
    sys.exit(main())
