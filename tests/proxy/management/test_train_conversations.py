"""`manage.py train_conversations`: it refuses what must not teach, before anything is written."""

import gzip
import json
import re
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from evaluation.matching.written_sets import read_conversations


@pytest.mark.slow
def test_a_text_as_good_as_one_that_judges_may_not_teach(tmp_path: Path) -> None:
    question = next(row["question"] for row in read_conversations() if row["kind"] == "standalone")
    with gzip.open(tmp_path / "faq_stream.jsonl.gz", "wt", encoding="utf-8") as file:
        file.write(json.dumps({"query": question, "intent": "a", "src": "x"}) + "\n")
    out = tmp_path / "weights.json"
    with pytest.raises(CommandError, match=re.escape(question)):
        call_command("train_conversations", data=tmp_path, out=out, stdout=StringIO())
    assert not out.exists()
