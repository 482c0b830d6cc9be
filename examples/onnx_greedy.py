"""Greedy decoding with what `headway export MODEL --to onnx` writes: onnx_greedy.py FOLDER < lines"""

import json
import sys
from pathlib import Path

import numpy as np
import onnxruntime
from tokenizers import Tokenizer

LONGEST = 50
folder = Path(sys.argv[1])
facts = json.loads((folder / "graphs.json").read_text("utf-8"))
graphs = {path.stem: onnxruntime.InferenceSession(path) for path in folder.glob("*.onnx")}
target = Tokenizer.from_file(str(folder / "tokenizer.json"))
own = folder / "source_tokenizer.json"
source = Tokenizer.from_file(str(own)) if own.exists() else target
target.encode_special_tokens = source.encode_special_tokens = True  # "</s>" in a line is plain text

for line in map(str.rstrip, sys.stdin):
    memory, written, newest = {}, [], facts["before_text"]
    if "encoder" in graphs:
        ids = source.encode(line, add_special_tokens=False).ids
        ids = np.array([facts["before_source"] + ids + facts["after_source"]])
        memory = {"source_mask": np.ones_like(ids)}
        keys, values = graphs["encoder"].run(None, {"source": ids, **memory})
        memory |= {"memory_keys": keys, "memory_values": values}
    else:
        newest = newest + target.encode(line, add_special_tokens=False).ids
    keys, values = (np.zeros(facts[name], np.float32) for name in ("no_keys", "no_values"))
    while len(written) < LONGEST:
        past = {"past_keys": keys, "past_values": values}
        logits, keys, values = graphs["decoder"].run(None, {"ids": np.array([newest]), **past, **memory})
        logits[..., facts["never_chosen"]] = -np.inf
        newest = [int(logits[0, -1, : facts["vocabulary"]].argmax())]
        if newest == [facts["end"]]:
            break
        written += newest
    print(target.decode(written))
