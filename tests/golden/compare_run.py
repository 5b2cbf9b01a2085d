#!/usr/bin/env python3
"""Train the same steps as a finished run of mm with PyTorch and compare every step's loss and gradient norm.

The run must have begun from a model directory, without dropout and token noise, in sequential order at a constant rate:

    mm --model INIT --data DIR --steps 30 --dropout 0 --order sequential --schedule constant --out RUN
    tests/golden/compare_run.py RUN

It reads run.json, the initial model, the dataset's shards and metrics.jsonl; trains in float64, and in float32 to show
how far PyTorch's own rounding reaches; exits 1 if a loss is 5e-6 off, or a norm 5e-5. With --golden it prints loss and
norm of each step in float64, a line each: what golden/train.txt has of the run that eval_golden.sh makes. Needs torch,
transformers, safetensors and numpy.
"""
import argparse
import gzip
import json
import pathlib
import sys

import numpy as np
import torch
from transformers import AutoModelForCausalLM


def read_tokens(folder):
    meta = json.loads((folder / "dataset.json").read_text())
    kind = "<u2" if meta["token_bytes"] == 2 else "<u4"
    parts = [np.frombuffer(gzip.open(folder / s["tokens"]).read(), kind) for s in meta["shards"]]
    return torch.from_numpy(np.concatenate(parts).astype(np.int64))


def batches(tokens, seq_len, batch, steps):
    count = -(-(len(tokens) - 1) // seq_len)
    for step in range(steps):
        rows = []
        for i in range(batch):
            first = (step * batch + i) % count * seq_len
            rows.append(tokens[first:first + seq_len + 1])
        yield rows


def train(settings, tokens, dtype):
    model = AutoModelForCausalLM.from_pretrained(settings["model"], dtype=dtype, attn_implementation="eager")
    model.train()
    decayed = [p for p in model.parameters() if p.dim() == 2]
    others = [p for p in model.parameters() if p.dim() != 2]
    optimizer = torch.optim.AdamW(
        [{"params": decayed, "weight_decay": settings["weight_decay"]}, {"params": others, "weight_decay": 0.0}],
        lr=settings["lr"], betas=(settings["beta1"], settings["beta2"]), eps=settings["eps"])
    for step, rows in enumerate(batches(tokens, settings["seq_len"], settings["batch"], settings["steps"]), 1):
        for group in optimizer.param_groups:
            group["lr"] = settings["lr"] * min(1.0, step / settings["warmup"]) if settings["warmup"] else settings["lr"]
        count = sum(len(r) - 1 for r in rows)
        total = 0.0
        for row in rows:
            logits = model(row[None, :-1]).logits[0]
            loss = torch.nn.functional.cross_entropy(logits, row[1:], reduction="sum")
            (loss / count).backward()
            total += loss.item()
        clip = settings["clip"] or float("inf")
        norm = torch.nn.utils.clip_grad_norm_(model.parameters(), clip).item()
        optimizer.step()
        optimizer.zero_grad()
        yield total / count, norm


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=pathlib.Path)
    parser.add_argument("--golden", action="store_true", help="print PyTorch's float64 loss and norm of each step, no more")
    parser.add_argument("--no-float32", action="store_true", help="leave out PyTorch's own float32")
    arguments = parser.parse_args()
    settings = json.loads((arguments.run / "run.json").read_text())["configuration"]
    if settings["dropout"] or settings["token_noise"] or settings["order"] != "sequential" or \
            settings["schedule"] != "constant" or not settings["model"] or settings["packing"] != "window":
        sys.exit("expected a run from --model with --dropout 0 --order sequential --schedule constant --packing window")
    rows = [json.loads(line) for line in (arguments.run / "metrics.jsonl").read_text().splitlines()]
    tokens = read_tokens(pathlib.Path(settings["data"]))
    settings["steps"] = len(rows)
    exact = list(train(settings, tokens, torch.float64))
    if arguments.golden:
        print("\n".join(f"{loss:.12f} {norm:.12f}" for loss, norm in exact))
        return 0
    single = exact if arguments.no_float32 else list(train(settings, tokens, torch.float32))
    worst = [0.0] * 4
    for row, (loss, norm), (loss32, norm32) in zip(rows, exact, single):
        off = [abs(row["loss"] / loss - 1), abs(row["grad_norm"] / norm - 1), abs(loss32 / loss - 1),
               abs(norm32 / norm - 1)]
        worst = [max(a, b) for a, b in zip(worst, off)]
        print(f"step {row['step']:3}  loss {loss:.9f}  mm {off[0]:.1e}  torch32 {off[2]:.1e}   "
              f"norm {norm:.6f}  mm {off[1]:.1e}  torch32 {off[3]:.1e}")
    print(f"worst: loss {worst[0]:.2e} (PyTorch's float32 {worst[2]:.2e}), norm {worst[1]:.2e} ({worst[3]:.2e})")
    return 0 if worst[0] <= 5e-6 and worst[1] <= 5e-5 else 1


if __name__ == "__main__":
    sys.exit(main())
