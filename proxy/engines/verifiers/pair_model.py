"""A verifier of the operator's own: a model that reads two questions together (a cross-encoder).

Its folder holds `model.onnx`, `tokenizer.json` and `calibration.json`, which
`manage.py train_verifier --verifier <folder>` writes. The model takes `input_ids`, `attention_mask`
and, if it wants them, `token_type_ids`, and gives one number a pair, the higher the more alike, or
two, of which the second speaks for the pair.
"""

import asyncio
import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Final

import numpy as np
import orjson
from numpy.typing import NDArray

from proxy.core.errors import ToolUnavailable
from proxy.core.text.normalize import fold_text
from proxy.core.verification.rules.rule_registry import DOUBTFUL_RULES, list_doubtful_objections
from proxy.engines.inference.batch_queue import BatchQueue
from proxy.engines.inference.exported_models import GRAPH_FILE, TOKENIZER_FILE
from proxy.engines.inference.session import open_session, open_tokenizer
from proxy.engines.verifiers.weights import score_evidence

CALIBRATION_FILE: Final = "calibration.json"
# What is weighed, with the sign that its weight may have.
PAIR_MODEL_SIGNS: Final = {"logit": 1, **dict.fromkeys(DOUBTFUL_RULES, -1)}
MAX_PAIR_TOKENS: Final = 256  # with those around both texts; a longer pair scores 0
MAX_TEXT_CHARACTERS: Final = 4096
KNOWN_INPUTS: Final = ("input_ids", "attention_mask", "token_type_ids")
EXPECTED_FOLDER: Final = (
    f"a folder with {GRAPH_FILE} (inputs {', '.join(KNOWN_INPUTS)}; one number a pair, or two), "
    f"{TOKENIZER_FILE}, and {CALIBRATION_FILE}, which manage.py train_verifier --verifier writes"
)

Pair = tuple[str, str]


class BadVerifierFolder(Exception):
    """What a folder lacks; the message says what is expected."""


@dataclass(frozen=True, slots=True, eq=False)
class Calibration:
    """What the evidence weighs, in the order of PAIR_MODEL_SIGNS; see `LearnedWeights`."""

    weights: NDArray[np.float64]
    offset: float
    usual_evidence: float

    def score(self, logit: float, objections: Sequence[str]) -> float:
        """Return the probability that both questions have one answer."""
        features = np.array([logit, *(float(name in objections) for name in DOUBTFUL_RULES)])
        return score_evidence(float(features @ self.weights) + self.offset, self.usual_evidence)


class PairModel:
    """The model and the tokenizer of a folder."""

    def __init__(self, folder: Path) -> None:
        """Load both. Raises BadVerifierFolder."""
        check_files(folder)
        try:
            self._session = open_session(folder / GRAPH_FILE)
            self._tokenizer = open_tokenizer(folder / TOKENIZER_FILE, MAX_PAIR_TOKENS)
            self._inputs = [each.name for each in self._session.get_inputs()]
            self.read_pair("a question", "another question")
        except Exception as error:  # onnxruntime and tokenizers raise kinds of their own
            raise BadVerifierFolder(
                f"{folder} does not run: {error}; expected is {EXPECTED_FOLDER}"
            ) from error

    def read_pair(self, asked: str, stored: str) -> float | None:
        """Return the model's number for a pair; None if both are too long to be read whole.

        Raises ValueError for a model of another shape.
        """
        encoded = self._tokenizer.encode(fold_text(asked), fold_text(stored))
        if len(encoded.ids) >= MAX_PAIR_TOKENS:
            return None
        given = {
            "input_ids": encoded.ids,
            "attention_mask": encoded.attention_mask,
            "token_type_ids": encoded.type_ids,
        }
        if unknown := set(self._inputs) - given.keys():
            raise ValueError(f"the model wants {', '.join(sorted(unknown))}")
        found = np.asarray(
            self._session.run(
                None, {name: np.array([given[name]], dtype=np.int64) for name in self._inputs}
            )[0]
        )
        if found.size not in (1, 2) or not np.isfinite(found).all():
            raise ValueError(f"the model gave {found.size} numbers of shape {found.shape}")
        numbers = found.reshape(-1).astype(float)
        return float(numbers[-1] - (numbers[0] if len(numbers) > 1 else 0.0))


def check_files(folder: Path) -> None:
    """Raise BadVerifierFolder if there is no model or no tokenizer."""
    for name in (GRAPH_FILE, TOKENIZER_FILE):
        if not (folder / name).is_file():
            raise BadVerifierFolder(f"{folder} has no {name}; expected is {EXPECTED_FOLDER}")


def load_calibration(folder: Path) -> Calibration:
    """Load what the model's numbers are worth. Raises BadVerifierFolder."""
    try:
        row = orjson.loads((folder / CALIBRATION_FILE).read_bytes())
        weights = np.array([float(row["evidence"][name]) for name in PAIR_MODEL_SIGNS])
        return Calibration(weights, float(row["evidence_offset"]), float(row["usual_evidence"]))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BadVerifierFolder(
            f"{folder / CALIBRATION_FILE} cannot be used ({type(error).__name__}: {error}); "
            f"expected is {EXPECTED_FOLDER}"
        ) from error


def find_folder_problem(folder: Path, *, runs: bool = True) -> str | None:
    """Return what is wrong with a folder, or None; `runs`: load the model and read a pair."""
    try:
        load_calibration(folder)
        check_files(folder)
        if runs:
            PairModel(folder)
    except BadVerifierFolder as error:
        return str(error)
    return None


class PairModelVerifier:
    """Scores pairs by the model in `folder`, in one thread.

    The first `score_questions` loads it; while it cannot be loaded every call raises
    ToolUnavailable.
    """

    name = "verifier"

    def __init__(self, folder: Path) -> None:
        self.id = _derive_id(folder)
        self._folder = folder
        self._lock = Lock()
        self._loaded: tuple[PairModel, Calibration] | None = None
        self._queue: BatchQueue[Pair, float] = BatchQueue(self.name, self._score_pairs)

    async def score_questions(
        self,
        asked: str,
        stored: Sequence[str],
        *,
        within: float = math.inf,
        tenant: int | None = None,
    ) -> list[float]:
        """Score `asked` against each of `stored`; see the port. Texts too long score 0."""
        return list(
            await asyncio.gather(*(self._score_pair((asked, other), within) for other in stored))
        )

    async def bound_score(self, asked: str, stored: str, *, tenant: int | None = None) -> float:
        """Nothing is known of a pair that was not read."""
        return 1.0

    async def close(self) -> None:
        """Let the thread end; pairs that were not begun are dropped."""
        self._queue.close()

    async def _score_pair(self, pair: Pair, within: float) -> float:
        if max(map(len, pair)) > MAX_TEXT_CHARACTERS:
            return 0.0
        job = self._queue.add_item(pair, sum(map(len, pair)), within)
        return await self._queue.wait_for_result(job)

    def _score_pairs(self, pairs: Sequence[Pair]) -> list[float | ToolUnavailable]:
        try:
            model, calibration = self._load()
            return [self._score_now(pair, model, calibration) for pair in pairs]
        except Exception as error:  # of the model; the next pairs may be others
            return [ToolUnavailable(self.name, str(error))] * len(pairs)

    @staticmethod
    def _score_now(pair: Pair, model: PairModel, calibration: Calibration) -> float:
        logit = model.read_pair(*pair)
        return 0.0 if logit is None else calibration.score(logit, list_doubtful_objections(*pair))

    def _load(self) -> tuple[PairModel, Calibration]:
        """Load the folder once. Raises BadVerifierFolder."""
        with self._lock:
            if self._loaded is None:
                self._loaded = PairModel(self._folder), load_calibration(self._folder)
            return self._loaded


def _derive_id(folder: Path) -> str:
    """Return the id of a folder's calibration; scores under two ids are not comparable."""
    try:
        written = (folder / CALIBRATION_FILE).read_bytes()
    except OSError:
        written = b""
    return f"{folder.name[:40]}@{hashlib.sha256(written).hexdigest()[:12]}"
