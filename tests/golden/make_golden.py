#!/usr/bin/env python3
"""Make the golden numbers of whole models: loss, every gradient and 20 steps of AdamW, in float64.

    tests/golden/make_golden.py

writes model-NAME.safetensors and model-NAME.json beside itself (README.md says what is in them). The models are those
of transformers, with two functions replaced, since transformers rounds to float32 within them whatever the model's
type: RMSNorm and the softmax of attention. The tables of rotary embedding stay in float32, as mm's do. Needs torch,
transformers and safetensors.
"""
import json
import pathlib
import tempfile

import torch
from safetensors.torch import save_file
from torch.nn.functional import cross_entropy
from transformers import AutoModelForCausalLM, LlamaConfig, Qwen3Config
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS
from transformers.models.llama import modeling_llama
from transformers.models.qwen3 import modeling_qwen3

STEPS = 20
ADAMW = {"lr": 1e-3, "beta1": 0.9, "beta2": 0.999, "eps": 1e-8, "weight_decay": 0.01, "clip": 1.0}

# name: configuration, inputs of each sample. Sizes are multiples of nothing that a kernel might like, and small enough
# for a repository; the last sample has one token; one sample is longer than a tile of attention.
MODELS = {
    "qwen3-one-kv-head": (
        Qwen3Config(vocab_size=211, hidden_size=20, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=1,
                    head_dim=16, intermediate_size=29, tie_word_embeddings=True,
                    rope_parameters={"rope_theta": 1e6, "rope_type": "default"}),
        [41, 131, 17, 1]),
    "qwen3-wide-heads": (
        Qwen3Config(vocab_size=211, hidden_size=10, num_hidden_layers=1, num_attention_heads=2, num_key_value_heads=2,
                    head_dim=128, intermediate_size=33, tie_word_embeddings=True,
                    rope_parameters={"rope_theta": 1e4, "rope_type": "default"}),
        [37, 63, 1]),
    "qwen3-bias-untied": (
        Qwen3Config(vocab_size=197, hidden_size=14, num_hidden_layers=1, num_attention_heads=6, num_key_value_heads=2,
                    head_dim=24, intermediate_size=31, tie_word_embeddings=False, attention_bias=True,
                    rms_norm_eps=1e-5, rope_parameters={"rope_theta": 1e6, "rope_type": "default"}),
        [53, 29, 64, 1]),
    "llama": (
        LlamaConfig(vocab_size=211, hidden_size=16, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
                    head_dim=16, intermediate_size=25, tie_word_embeddings=False, attention_bias=False,
                    rms_norm_eps=1e-6, rope_parameters={"rope_theta": 1e4, "rope_type": "default"}),
        [59, 45, 1]),
}


def rms_norm(self, x):
    return self.weight * (x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + self.variance_epsilon))


def attention(module, query, key, value, attention_mask, scaling, **kwargs):
    """Causal attention of one sample without padding, in the type of its inputs."""
    key = key.repeat_interleave(module.num_key_value_groups, dim=1)
    value = value.repeat_interleave(module.num_key_value_groups, dim=1)
    scores = query @ key.transpose(2, 3) * scaling
    later = torch.ones(scores.shape[-2:], dtype=torch.bool).triu(1)
    weights = scores.masked_fill(later, float("-inf")).softmax(-1)
    return (weights @ value).transpose(1, 2).contiguous(), weights


modeling_qwen3.Qwen3RMSNorm.forward = rms_norm
modeling_llama.LlamaRMSNorm.forward = rms_norm
ALL_ATTENTION_FUNCTIONS.register("golden", attention)


def make_weights(config, generator):
    """Weights as float32 holds them: larger than at a model's start, so that every gradient counts; norms about 1."""
    model = AutoModelForCausalLM.from_config(config)
    weights = {}
    for name, p in model.named_parameters():
        noise = torch.randn(p.shape, generator=generator)
        weights[name] = 1 + 0.2 * noise if "norm" in name else 0.15 * noise
    return weights


def load(config, weights, dtype):
    model = AutoModelForCausalLM.from_config(config, attn_implementation="golden").to(dtype)
    with torch.no_grad():
        for name, p in model.named_parameters():
            p.copy_(weights[name])
    return model.train()


def backward(model, samples):
    """The sum of all targets' losses over their count, and its gradient."""
    count = sum(len(ids) - 1 for ids in samples)
    total = 0.0
    for ids in samples:
        ids = torch.tensor(ids)
        logits = model(ids[None, :-1], use_cache=False).logits[0]
        loss = cross_entropy(logits, ids[1:], reduction="sum") / count
        loss.backward()
        total += loss.item()
    return total


def train(model, samples):
    matrices = [p for p in model.parameters() if p.dim() == 2]
    others = [p for p in model.parameters() if p.dim() != 2]
    optimizer = torch.optim.AdamW(
        [{"params": matrices, "weight_decay": ADAMW["weight_decay"]}, {"params": others, "weight_decay": 0.0}],
        lr=ADAMW["lr"], betas=(ADAMW["beta1"], ADAMW["beta2"]), eps=ADAMW["eps"])
    for _ in range(STEPS):
        optimizer.zero_grad()
        loss = backward(model, samples)
        norm = torch.nn.utils.clip_grad_norm_(model.parameters(), ADAMW["clip"]).item()
        optimizer.step()
        yield {"loss": loss, "grad_norm": norm}


def run(config, weights, samples, dtype):
    model = load(config, weights, dtype)
    loss = backward(model, samples)
    gradients = {name: p.grad.double().clone() for name, p in model.named_parameters()}
    norm = sum(g.pow(2).sum() for g in gradients.values()).sqrt().item()
    return loss, norm, gradients, list(train(load(config, weights, dtype), samples))


def relative(found, expected):
    return abs(found - expected) / abs(expected)


def distances(single, double):
    """How far float32 is from float64, relative: what rounding alone does."""
    return {
        "loss": relative(single[0], double[0]),
        "grad_norm": relative(single[1], double[1]),
        "worst_gradient": max((single[2][n] - g).norm().item() / g.norm().item() for n, g in double[2].items()),
        "worst_step_loss": max(relative(s["loss"], d["loss"]) for s, d in zip(single[3], double[3])),
        "worst_step_grad_norm": max(relative(s["grad_norm"], d["grad_norm"]) for s, d in zip(single[3], double[3])),
    }


def config_json(config):
    with tempfile.TemporaryDirectory() as folder:
        config.save_pretrained(folder)
        return json.loads((pathlib.Path(folder) / "config.json").read_text())


def write_json(path, values):
    """One line for a key, or for an element of a list."""
    def text(value):
        if isinstance(value, list):
            return "[\n  " + ",\n  ".join(json.dumps(v) for v in value) + "\n ]"
        return json.dumps(value)
    path.write_text("{\n " + ",\n ".join(f"{json.dumps(k)}: {text(v)}" for k, v in values.items()) + "\n}\n")


def main():
    here = pathlib.Path(__file__).resolve().parent
    torch.set_num_threads(1)
    for seed, (name, (config, lengths)) in enumerate(MODELS.items(), 1):
        generator = torch.Generator().manual_seed(seed)
        weights = make_weights(config, generator)
        samples = [torch.randint(config.vocab_size, (n + 1,), generator=generator).tolist() for n in lengths]
        double = run(config, weights, samples, torch.float64)
        float32 = distances(run(config, weights, samples, torch.float32), double)
        tensors = {f"weight.{n}": w.contiguous() for n, w in weights.items()}
        tensors |= {f"grad.{n}": g.contiguous() for n, g in double[2].items()}
        file = here / f"model-{name}.safetensors"
        save_file(tensors, file)
        file.chmod(0o644)
        write_json(here / f"model-{name}.json", {
            "config": config_json(config), "samples": samples, "loss": double[0], "grad_norm": double[1],
            "adamw": ADAMW, "steps": double[3], "float32": float32})
        print(name, {k: float(f"{v:.2g}") for k, v in float32.items()})


if __name__ == "__main__":
    main()
