"""Open exported models on onnxruntime, and their tokenizers."""

import os
from pathlib import Path
from typing import Any


def open_session(graph: Path) -> Any:
    """Open the model of a graph file. Raises what onnxruntime raises."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    # Two threads take half the time of one if two cores are free. They must not spin while they
    # wait for each other: on a single core that doubles the time instead (12 tokens: 9.2 ms;
    # without 5.1, as with one thread).
    # What may be used, where the system says so (not on macOS).
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    options.intra_op_num_threads, options.inter_op_num_threads = min(2, cores or 1), 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(str(graph), options, providers=["CPUExecutionProvider"])


def open_tokenizer(file: Path, longest: int) -> Any:
    """Open a `tokenizer.json`, set to truncate after `longest` tokens and not to pad."""
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(file))
    tokenizer.enable_truncation(longest)
    tokenizer.no_padding()
    return tokenizer
