#!/usr/bin/env python3
"""The other side of tools/bench --torch: the same step in PyTorch, Qwen3 of transformers in fp32.

    bench_torch.py --preset NAME --seq-len T --batch B --dropout P --threads N --mode eager|compile [--warm N]

Random tokens, mean cross entropy, gradients clipped to norm 1, AdamW. Reads lines "go N" from standard input, takes N
steps for each and answers with one line of JSON; ends with its input. The first line says that it is ready. Warm-up
steps (3), compilation among them, come before that.
"""
import argparse
import json
import os
import statistics
import sys
import time

# hidden, layers, heads, kv heads, head dim, intermediate: mm's presets.
PRESETS = {
    "tiny": (128, 4, 4, 2, 32, 448),
    "small": (512, 8, 8, 2, 64, 1408),
    "minimind-3": (768, 8, 8, 4, 96, 2432),
}
VOCAB = 6400


def read_options():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--preset", choices=PRESETS, default="tiny")
    parser.add_argument("--seq-len", type=int, default=256)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--dropout", type=float, default=0.0)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--mode", choices=["eager", "compile"], default="eager")
    parser.add_argument("--warm", type=int, default=3)
    return parser.parse_args()


def make_model(options, transformers):
    hidden, layers, heads, kv_heads, head_dim, intermediate = PRESETS[options.preset]
    config = transformers.Qwen3Config(
        vocab_size=VOCAB,
        hidden_size=hidden,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=kv_heads,
        head_dim=head_dim,
        intermediate_size=intermediate,
        tie_word_embeddings=True,
        rms_norm_eps=1e-6,
        rope_theta=1e6,
        attention_dropout=options.dropout,
        max_position_embeddings=max(4096, options.seq_len),
        use_cache=False,
    )
    model = transformers.Qwen3ForCausalLM(config)
    model.train()
    return model


def peak_bytes():
    with open("/proc/self/status", encoding="ascii") as status:
        for line in status:
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return 0


def main():
    began = time.monotonic()
    options = read_options()
    os.environ.setdefault("TORCHINDUCTOR_COMPILE_THREADS", "1")
    import torch
    import transformers

    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    model = make_model(options, transformers)
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-4, weight_decay=0.01)
    forward = torch.compile(model) if options.mode == "compile" else model
    inputs = torch.randint(0, VOCAB, (options.batch, options.seq_len))
    targets = torch.randint(0, VOCAB, (options.batch, options.seq_len))

    def step():
        logits = forward(input_ids=inputs).logits
        loss = torch.nn.functional.cross_entropy(logits.view(-1, VOCAB), targets.view(-1))
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    first = None
    for _ in range(max(1, options.warm)):
        step()
        first = first or time.monotonic() - began
    facts = {
        "side": "torch",
        "mode": options.mode,
        "torch": torch.__version__,
        "transformers": transformers.__version__,
        "parameters": sum(p.numel() for p in model.parameters()),
    }
    print(json.dumps({"ready": True, **facts}), flush=True)
    for line in sys.stdin:
        seconds = []
        for _ in range(int(line.split()[1])):
            start = time.monotonic()
            step()
            seconds.append(time.monotonic() - start)
        median = statistics.median(seconds)
        answer = {
            **facts,
            "preset": options.preset,
            "seq_len": options.seq_len,
            "batch": options.batch,
            "workers": options.threads,
            "dropout": options.dropout,
            "steps": len(seconds),
            "seconds_median": round(median, 6),
            "seconds_min": round(min(seconds), 6),
            "tokens_per_second": round(options.batch * options.seq_len / median, 1),
            "first_step_seconds": round(first, 3),
            "peak_bytes": peak_bytes(),
        }
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
