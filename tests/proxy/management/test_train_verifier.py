"""`manage.py train_verifier` on a handful of rows:
it really learns, says what from, and leaves out what it must."""

import gzip
import json
import re
from collections.abc import Mapping, Sequence
from io import StringIO
from pathlib import Path

import numpy as np
import pytest
from django.core.management import CommandError, call_command

from evaluation.matching.written_sets import read_groups
from proxy.engines.verifiers.weights import load_learned_weights

VERBS = (
    "book cancel change check close confirm find freeze order pay print renew "
    "report reset send track"
).split()
THINGS = "card flight hotel invoice loan parcel passport rent table ticket".split()


@pytest.fixture
def data(tmp_path: Path) -> Path:
    rows = [
        {
            "a": f"how do i {verb} the {thing}",
            "b": f"can i {verb} the {thing} now",
            "same": True,
            "source": "banking77",
            "group": "tiny",
        }
        for verb in VERBS
        for thing in THINGS[:5]
    ]
    rows += [
        {
            "a": "a benchmark",
            "b": "its other half",
            "same": True,
            "source": "fow",
            "group": "fow_paraphrase",
        }
    ]
    rows += [
        {
            "a": "I need a bus.",
            "b": "I need 2.",
            "same": False,
            "source": "generated",
            "group": "gen_number",
        }
    ]
    stream = [
        {"query": f"can i {verb} a {thing} {when}", "intent": verb, "src": "x"}
        for verb in VERBS
        for thing in THINGS
        for when in ("today", "online")
    ]
    _write(tmp_path / "cache_pairs.jsonl.gz", rows)
    _write(tmp_path / "faq_stream.jsonl.gz", stream)
    _write(tmp_path / "cache_pairs_nc.jsonl.gz", [{"broken": "it must not be opened"}])
    return tmp_path


def test_training_learns_and_says_what_from(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = data / "weights.json"
    call_command("train_verifier", data=data, out=out)
    said = capsys.readouterr().out
    counts = {
        line.split()[0]: [int(word) for word in line.split() if word.isdecimal()]
        for line in said.splitlines()
        if " " in line
    }
    assert counts["fow_paraphrase"] == [0, 0, 0, 1]
    assert counts["gen_number"] == [0, 0, 0, 1]
    assert sum(counts["tiny"]) == 80
    assert min(counts["tiny"][:3]) > 0
    assert len(np.load(data / "taught.npy")) > 80 + 2000  # the written groups teach too
    learned, shipped = load_learned_weights(out), load_learned_weights()
    assert learned.evidence.shape == shipped.evidence.shape
    assert np.abs(learned.evidence).max() > 0
    assert learned.evidence_offset < learned.usual_evidence


def test_a_text_as_good_as_one_that_judges_may_not_teach(data: Path) -> None:
    rows = [{"query": read_groups()[0].question, "intent": "a", "src": "x"}]
    _write(data / "faq_stream.jsonl.gz", rows)
    with pytest.raises(CommandError, match=re.escape(read_groups()[0].question)):
        call_command("train_verifier", data=data, out=data / "weights.json", stdout=StringIO())
    assert not (data / "weights.json").exists()


def test_a_folder_without_data_is_refused_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match=r"cache_pairs\.jsonl\.gz"):
        call_command("train_verifier", data=tmp_path, stdout=StringIO())


def _write(file: Path, rows: Sequence[Mapping[str, object]]) -> None:
    with gzip.open(file, "wt", encoding="utf-8") as lines:
        lines.writelines(json.dumps(row) + "\n" for row in rows)
