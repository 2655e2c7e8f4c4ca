"""The smallest model and adapter in safetensors that Ollama converts: one layer of nothing, for tests of create."""

from __future__ import annotations

import json
import math
import struct
from pathlib import Path

HIDDEN, FEED_FORWARD, VOCABULARY, RANK = 64, 128, 300, 4


def write_model(folder: Path) -> None:
    """Write a Llama model of one layer, with its config and tokenizer."""
    layer = "model.layers.0."
    shapes = {
        "model.embed_tokens.weight": [VOCABULARY, HIDDEN],
        "model.norm.weight": [HIDDEN],
        "lm_head.weight": [VOCABULARY, HIDDEN],
        f"{layer}input_layernorm.weight": [HIDDEN],
        f"{layer}post_attention_layernorm.weight": [HIDDEN],
        **{f"{layer}self_attn.{name}_proj.weight": [HIDDEN, HIDDEN] for name in "qkvo"},
        f"{layer}mlp.gate_proj.weight": [FEED_FORWARD, HIDDEN],
        f"{layer}mlp.up_proj.weight": [FEED_FORWARD, HIDDEN],
        f"{layer}mlp.down_proj.weight": [HIDDEN, FEED_FORWARD],
    }
    config = {
        "architectures": ["LlamaForCausalLM"],
        "hidden_size": HIDDEN,
        "intermediate_size": FEED_FORWARD,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "num_key_value_heads": 2,
        "vocab_size": VOCABULARY,
        "max_position_embeddings": 64,
        "rms_norm_eps": 1e-5,
        "rope_theta": 10000.0,
        "bos_token_id": 0,
        "eos_token_id": 1,
        "torch_dtype": "float16",
    }
    words = {f"t{number}": number for number in range(VOCABULARY)}
    tokenizer = {"version": "1.0", "added_tokens": [], "model": {"type": "BPE", "vocab": words, "merges": []}}
    folder.mkdir()
    _write_tensors(folder / "model.safetensors", shapes)
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))
    (folder / "tokenizer_config.json").write_text(json.dumps({"bos_token": "t0", "eos_token": "t1"}))


def write_adapter(folder: Path) -> None:
    """Write a LoRA adapter for that model."""
    projection = "base_model.model.model.layers.0.self_attn.q_proj"
    shapes = {f"{projection}.lora_A.weight": [RANK, HIDDEN], f"{projection}.lora_B.weight": [HIDDEN, RANK]}
    folder.mkdir()
    _write_tensors(folder / "adapter_model.safetensors", shapes)
    (folder / "adapter_config.json").write_text(json.dumps({"lora_alpha": 8, "r": RANK, "peft_type": "LORA"}))


def _write_tensors(path: Path, shapes: dict[str, list[int]]) -> None:
    header: dict[str, object] = {}
    end = 0
    for name, shape in shapes.items():
        begin, end = end, end + 2 * math.prod(shape)
        header[name] = {"dtype": "F16", "shape": shape, "data_offsets": [begin, end]}
    head = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(head)) + head + struct.pack("<e", 0.01) * (end // 2))
