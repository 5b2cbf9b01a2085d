#!/usr/bin/env python3
"""The losses that eval_golden.sh expects, in float64.

    tests/eval_golden.sh build/tools/mm FOLDER
    tests/golden/eval.py FOLDER

prints each model's loss over the dataset in windows of 64 tokens. The models are transformers' own in float64, but for
RMSNorm and the softmax of attention, which it rounds to float32: these are those of make_golden.py. Needs torch,
transformers, safetensors and numpy; run with torch 2.15.0 and transformers 5.23.0.
"""
import pathlib
import sys

import make_golden  # replaces the two
import torch
from compare_run import read_tokens
from transformers import AutoModelForCausalLM

SEQ_LEN = 64


def main():
    folder = pathlib.Path(sys.argv[1])
    torch.set_num_threads(1)
    assert "golden" in make_golden.ALL_ATTENTION_FUNCTIONS.valid_keys()
    tokens = read_tokens(folder / "data")
    for name in ("llama", "tiny/model"):
        model = AutoModelForCausalLM.from_pretrained(folder / name, dtype=torch.float64, attn_implementation="golden").eval()
        total = 0.0
        for first in range(0, len(tokens) - 1, SEQ_LEN):
            window = tokens[first:first + SEQ_LEN + 1]
            with torch.no_grad():
                logits = model(window[None, :-1], use_cache=False).logits[0]
            total += torch.nn.functional.cross_entropy(logits, window[1:], reduction="sum").item()
        print(name, f"{total / (len(tokens) - 1):.9f}")


if __name__ == "__main__":
    main()
