#!/usr/bin/env python3
"""Compares mm's models with those of Hugging Face's `transformers` (pip install torch transformers safetensors), both
ways: checkpoints and exports of mm open there, models that transformers saved open here, and both say the same.

    tools/check-transformers.py --mm build/tools/mm TEXT

TEXT is a text file of 200 kB or more. A tokenizer, a dataset and a model (preset tiny) are made from it; transformers
makes Qwen3 and Llama models with random weights in F32, BF16 and F16, in one file and in shards. For each:

- logits of every target, against transformers in float64 (`mm eval --logits`), within LOGITS of the largest;
- loss, against float64's, within 2e-6;
- 40 tokens of greedy continuation, the same ids as generate(), ended by the same eos.

Exports in each type must hold the bits that torch's own rounding gives, and AutoTokenizer the ids of mm's. Exits 1 if
anything differs. Tried with torch 2.15.0 and transformers 5.23.0.
"""
import argparse
import gzip
import json
import pathlib
import subprocess
import sys
import tempfile

import numpy as np
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaConfig, Qwen3Config
from transformers.utils import logging

LOGITS = 1e-5  # of the largest logit: float32's own distance from float64 is of this order, and is printed beside
LOSS = 2e-6
SEQ_LEN = 192
DTYPES = {"f32": torch.float32, "bf16": torch.bfloat16, "f16": torch.float16}
PROMPTS = ["The ", "In the beginning", "a", "water, and then\n", "0 1 2"]

failed = 0


def fail(*words):
    global failed
    failed += 1
    print("DIFFERS:", *words)


def run(*words):
    done = subprocess.run([str(w) for w in words], capture_output=True, check=False)
    if done.returncode:
        raise SystemExit(f"{words}: exit {done.returncode}: {done.stderr.decode()}")
    return done.stdout


def read_tokens(dataset):
    return torch.from_numpy(np.frombuffer(gzip.open(dataset / "tokens-00000.gz").read(), "<u2").astype(np.int64))


def load(path, dtype):
    return AutoModelForCausalLM.from_pretrained(path, dtype=dtype, attn_implementation="eager").eval()


def logits_of(model, tokens):
    """Of every token but the first, in windows as mm takes them."""
    parts = []
    with torch.no_grad():
        for first in range(0, len(tokens) - 1, SEQ_LEN):
            window = tokens[first:first + SEQ_LEN]
            parts.append(model(window[None], use_cache=False).logits[0].double())
    return torch.cat(parts)[:len(tokens) - 1]


def compare_eval(mm, name, path, data, tokens, work):
    file = work / "logits.safetensors"
    file.unlink(missing_ok=True)
    said = json.loads(run(mm, "eval", "--model", path, "--data", data, "--seq-len", SEQ_LEN, "--logits", file, "--json"))
    ours = load_file(file)
    if not torch.equal(ours["targets"].long(), tokens[1:]):
        fail(name, "targets")
    exact, single = (logits_of(load(path, d), tokens) for d in (torch.float64, torch.float32))
    size = exact.abs().max().item()
    off = (ours["logits"].double() - exact).abs().max().item() / size
    off32 = (single - exact).abs().max().item() / size
    loss = torch.nn.functional.cross_entropy(exact, tokens[1:]).item()
    print(f"{name:32} logits {off:.1e} (transformers' float32 {off32:.1e})  loss {loss:.6f} off {said['loss'] - loss:+.1e}",
          end="  ", flush=True)
    if not off <= LOGITS:
        fail(name, "logits", off)
    if not abs(said["loss"] - loss) <= LOSS or said["tokens"] != len(tokens) - 1:
        fail(name, "loss", said, loss)


def greedy(mm, path, prompt):
    return json.loads(run(mm, "generate", "--model", path, "--prompt", prompt, "--temperature", 0, "--max-tokens", 40,
                          "--json"))["ids"]


def compare_greedy(mm, name, path):
    model = load(path, torch.float32)
    ends = model.generation_config.eos_token_id
    ends = ends if isinstance(ends, list) else [ends]
    same = ended = 0
    for prompt in PROMPTS:
        ours = greedy(mm, path, prompt)
        start = AutoTokenizer.from_pretrained(path)(prompt, add_special_tokens=False).input_ids
        ids = torch.tensor([start])
        theirs = model.generate(ids, attention_mask=torch.ones_like(ids), do_sample=False, max_new_tokens=40,
                                pad_token_id=0)[0].tolist()
        if theirs[-1] in ends:
            ended += 1
            theirs.pop()
        if ours == theirs:
            same += 1
        else:
            fail(name, "greedy", repr(prompt), ours, theirs)
    print(f"greedy {same} of {len(PROMPTS)} the same, {ended} ended by eos")


def compare(mm, name, path, data, tokens, work):
    compare_eval(mm, name, path, data, tokens, work)
    compare_greedy(mm, name, path)


def compare_exports(mm, name, path, data, tokens, work):
    """The export of a model in each type, against the weights that torch rounds."""
    model = load(path / "model" if (path / "run.json").exists() else path, torch.float32)
    source = {n: p.detach() for n, p in model.named_parameters()}
    for dtype, kind in DTYPES.items():
        out = work / f"export-{name}-{dtype}"
        run(mm, "export", "--dtype", dtype, "--out", out, path)
        model = AutoModelForCausalLM.from_pretrained(out)
        found = dict(model.named_parameters())
        if model.dtype != kind or found.keys() != source.keys():
            fail(out.name, model.dtype, found.keys() ^ source.keys())
        for n, p in found.items():
            if not torch.equal(p, source[n].to(kind)):
                fail(out.name, n)
        compare(mm, out.name, out, data, tokens, work)


def compare_tokenizer(mm, path, text):
    tokenizer = AutoTokenizer.from_pretrained(path)
    lines = [line for line in text.splitlines() if line][:500] + ["a<|im_end|>b", "  two", "1234567"]
    said = subprocess.run([mm, "tokenizer", "encode", "--tokenizer", path], input="\n".join(lines).encode(),
                          capture_output=True, check=True).stdout.decode().split("\n")
    same = sum(tokenizer(line).input_ids == [int(w) for w in ids.split()] for line, ids in zip(lines, said))
    print(f"AutoTokenizer: {same} of {len(lines)} lines the same; bos {tokenizer.bos_token} eos {tokenizer.eos_token}")
    if same != len(lines) or not tokenizer.eos_token:
        fail("tokenizer", same)


def random_models(vocab):
    small = {"vocab_size": vocab, "hidden_size": 64, "intermediate_size": 136, "num_attention_heads": 4,
             "num_key_value_heads": 2, "bos_token_id": 1, "eos_token_id": [2, 5]}
    rope = {"rope_theta": 5e5, "rope_type": "default"}
    yield "qwen3-tied", Qwen3Config(**small, num_hidden_layers=3, head_dim=32, tie_word_embeddings=True,
                                    rope_parameters=rope)
    yield "qwen3-bias-untied", Qwen3Config(**small, num_hidden_layers=2, head_dim=24, tie_word_embeddings=False,
                                           attention_bias=True, rms_norm_eps=1e-5)
    yield "llama", LlamaConfig(**small, num_hidden_layers=3, tie_word_embeddings=False, rope_parameters=rope)
    yield "llama-bias-tied", LlamaConfig(**small, num_hidden_layers=2, head_dim=20, attention_bias=True,
                                         tie_word_embeddings=True)


def randomise(model, seed):
    """Weights larger than at a model's start, so that every part of it shows in the logits."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, p in model.named_parameters():
            noise = torch.randn(p.shape, generator=generator)
            p.copy_(1 + 0.2 * noise if "norm" in name else 0.12 * noise)


def as_version_4(path):
    """config.json as transformers 4 writes it."""
    file = path / "config.json"
    config = json.loads(file.read_text())
    rope = config.pop("rope_parameters")
    config.pop("layer_types", None)
    config |= {"rope_theta": rope["rope_theta"], "rope_scaling": None, "torch_dtype": config.pop("dtype"),
               "transformers_version": "4.51.0"}
    file.write_text(json.dumps(config))


def compare_random(mm, tokenizer, vocab, data, tokens, work):
    for seed, (name, config) in enumerate(random_models(vocab)):
        for dtype, kind in DTYPES.items():
            model = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
            randomise(model, seed)
            model = model.to(kind)
            model.generation_config.eos_token_id = [2, 5]
            for shards in (False, True):
                path = work / f"{name}-{dtype}{'-shards' if shards else ''}"
                model.save_pretrained(path, max_shard_size="100KB" if shards else "5GB")
                count = len(list(path.glob("*.safetensors")))
                if (count > 1) != shards:
                    raise SystemExit(f"{path}: {count} files of weights")
                (path / "tokenizer.json").write_bytes(tokenizer.read_bytes())
                (path / "tokenizer_config.json").write_text('{"tokenizer_class": "PreTrainedTokenizerFast"}')
                if shards:
                    as_version_4(path)
                compare(mm, path.name, path, data, tokens, work)
        compare_exports(mm, name, work / f"{name}-f32-shards", data, tokens, work)


def compare_ends(mm, path):
    """A second eos ends what would go on, in config.json or, before that, in generation_config.json."""
    config = json.loads((path / "config.json").read_text())
    ids = greedy(mm, path, PROMPTS[0])
    begun = len(AutoTokenizer.from_pretrained(path)(PROMPTS[0]).input_ids)
    ends = {"config.json": config | {"eos_token_id": [2, ids[begun + 3]]},
            "generation_config.json": {"eos_token_id": [2, ids[begun + 2]]}}
    (path / "generation_config.json").unlink()
    for name, text in ends.items():
        (path / name).write_text(json.dumps(text))
        most = begun + (3 if name == "config.json" else 2)
        print(f"a second eos in {name}: ", end="")
        compare_greedy(mm, name, path)
        if not len(greedy(mm, path, PROMPTS[0])) <= most:
            fail("a second eos in", name, "ended nothing")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mm", default="build/tools/mm", type=pathlib.Path)
    parser.add_argument("text", type=pathlib.Path)
    given = parser.parse_args()
    mm = given.mm.resolve()
    torch.set_num_threads(1)
    logging.disable_progress_bar()
    logging.set_verbosity_error()
    with tempfile.TemporaryDirectory() as folder:
        work = pathlib.Path(folder)
        text = given.text.read_text(errors="replace")
        (work / "train.txt").write_text(text[:1000000])
        (work / "held.txt").write_text(text[-4000:])
        tokenizer, data = work / "tokenizer.json", work / "held"
        vocab = 1024
        run(mm, "tokenizer", "train", "--vocab-size", vocab, "--out", tokenizer, work / "train.txt")
        run(mm, "pack", "--tokenizer", tokenizer, "--out", work / "data", work / "train.txt")
        run(mm, "pack", "--tokenizer", tokenizer, "--out", data, work / "held.txt")
        run(mm, "train", "--data", work / "data", "--steps", 60, "--batch", 16, "--seq-len", 128, "--threads", 4,
            "--out", work / "run")
        tokens = read_tokens(data)
        compare(mm, "checkpoint", work / "run" / "model", data, tokens, work)
        compare_exports(mm, "run", work / "run", data, tokens, work)
        compare_tokenizer(mm, work / "run" / "model", text)
        compare_tokenizer(mm, work / "export-run-f32", text)
        compare_ends(mm, work / "export-run-f32")
        compare_random(mm, tokenizer, vocab, data, tokens, work)
    print(f"{failed} differ" if failed else "all the same")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
