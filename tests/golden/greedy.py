#!/usr/bin/env python3
"""Make the golden continuations: what transformers' generate() says greedily, from the committed golden models.

    tests/golden/greedy.py

writes greedy.json beside itself: for each model some prompts, each with the ids that follow and the smallest distance
between the largest and the second largest logit on the way, which says how far rounding is from another answer. The
models are transformers' own in float32, with its key/value cache; the script stops if float64 says something else.
Needs torch, transformers and safetensors.
"""
import json
import pathlib

import torch
from safetensors.torch import load_file
from transformers import AutoConfig, AutoModelForCausalLM

TOKENS = 40
MODELS = ["qwen3-one-kv-head", "qwen3-wide-heads", "qwen3-bias-untied", "llama"]


def load(here, name, config, dtype):
    tensors = load_file(here / f"model-{name}.safetensors")
    model = AutoModelForCausalLM.from_config(config).to(dtype)
    with torch.no_grad():
        for tensor, p in model.named_parameters():
            p.copy_(tensors[f"weight.{tensor}"])
    return model.eval()


def go_on(model, prompt):
    ids = torch.tensor([prompt])
    with torch.no_grad():
        out = model.generate(ids, attention_mask=torch.ones_like(ids), do_sample=False, max_new_tokens=TOKENS,
                             eos_token_id=None, pad_token_id=0, output_logits=True, return_dict_in_generate=True)
    best = [torch.topk(logits[0], 2).values for logits in out.logits]
    return out.sequences[0, len(prompt):].tolist(), min((b[0] - b[1]).item() for b in best)


def main():
    here = pathlib.Path(__file__).resolve().parent
    torch.set_num_threads(1)
    lines = []
    for name in MODELS:
        golden = json.loads((here / f"model-{name}.json").read_text())
        kind = golden["config"].pop("model_type")
        config = AutoConfig.for_model(kind, **golden["config"])
        single, double = (load(here, name, config, dtype) for dtype in (torch.float32, torch.float64))
        for sample in golden["samples"]:
            for prompt in (sample[:1], sample[:9], sample):
                ids, margin = go_on(single, prompt)
                if ids != go_on(double, prompt)[0]:
                    raise SystemExit(f"{name}: float32 and float64 part")
                lines.append(json.dumps({"model": name, "prompt": prompt, "ids": ids, "margin": float(f"{margin:.2g}")}))
                print(name, len(prompt), margin)
    (here / "greedy.json").write_text("[\n " + ",\n ".join(dict.fromkeys(lines)) + "\n]\n")


if __name__ == "__main__":
    main()
