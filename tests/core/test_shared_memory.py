"""What a worker remembers across requests, and why no tenant learns of another by it:
each place is listed, and a new one has to be."""

import ast
import asyncio
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import numpy as np

from proxy.core.compression.compress import compress
from proxy.core.compression.memo import Memo
from proxy.core.tenant_memory import CURRENT_TENANT, TenantMemory, remember_by_tenant
from proxy.core.types import Vector
from proxy.core.verification import parsed_text
from proxy.engines.compressors.worker import FRAME_LENGTH, answer_job, build_job
from proxy.engines.embedders.base import ThreadedEmbedder
from proxy.engines.embedders.comprehension import PieceSplitter
from tests.support.texts.chats import MODEL, plan, support_history

ROOT = Path(__file__).resolve().parents[2]
KINDS: Final = {
    "OrderedDict",
    "LRUCache",
    "TenantMemory",
    "remember_by_tenant",
    "lru_cache",
    "cache",
}
# Why it tells nobody of another tenant. What depends on a text that somebody sent holds the tenant
# in its key, or a digest of it (the exact key and the bucket are made of the scope, which begins
# with the tenant).
KNOWN: Final = {
    "plans.import_export.resources.MemoizedCapabilities.find_backend_problem": "of one import",
    "plans.key_secrets.compute_key_digest": "a secret of 256 bits: who can ask for it has it",
    "plans.price_terms.parse_terms": "prices",
    "plans.published_prices.ProviderPrices.find_price": "names of models, for a public price each",
    "proxy.core.quality.cohort.derive_cohort": "settings",
    "proxy.core.lru.LRUCache._entries": "what the owners below are made of",
    "proxy.core.quality.error_budget.ErrorBudgets._monitors": "by plan, terms and tenant",
    "proxy.core.text.languages._get_lexicon": (
        "words one by one: to stem one takes 0.7 us, to find it 0.2"
    ),
    "proxy.core.text.languages.load_stemmer": "by language",
    "proxy.core.text.languages.load_stop_words": "by language",
    "proxy.core.text.word_vectors.WordVectors._count_covered_letters": (
        "words one by one, likewise, of at most 32 letters"
    ),
    "proxy.core.text.word_vectors.WordVectors.cached_stems": "by language, of the vocabulary",
    "proxy.core.compression.memo.Memo._results": "by tenant",
    "proxy.core.text.sentences._load_punkt": "one model",
    "proxy.core.prompt_caching.observed_discount.CachedShareEstimator._token_sums": "by tenant and route",  # noqa: E501 -- a row of a table
    "proxy.pipeline.response_headers._is_passed": "names of providers' headers",
    "proxy.core.quality.holdout_assignment._derive_key": "the pepper",
    "proxy.core.quality.anomaly.HitRateMonitor._seen_questions": "one tenant's, see the budgets",
    "proxy.core.caching.prepared_requests.PreparedRequests._fields_by_request": "by virtual key",
    "proxy.core.caching.local_cache.LocalCache._entries": "by exact key, of the scope",
    "proxy.core.formats.provider_secrets.get_provider_secrets": "by upstream",
    "proxy.core.tenant_memory.TenantMemory._values_by_owner": "by tenant",
    "proxy.core.tokens._count_known_role": "the six roles of the API",
    "proxy.core.tokens._load_tokenizer": "by encoding",
    "proxy.core.tokens.find_encoding": "names of models",
    "proxy.core.verification.english.is_english": "by tenant",
    "proxy.core.verification.lexicon.word_ranks._is_word_cached": (
        "words one by one, likewise, of at most 64 letters"
    ),
    "proxy.core.verification.lexicon.word_ranks._zipf_frequency_cached": (
        "words one by one, likewise, of at most 64 letters"
    ),
    "proxy.core.verification.lexicon.word_ranks.load_lexicon": "lists of words",
    "proxy.core.verification.notation._classify_cached": (
        "what stands between two spaces, one by one, of at most 64 characters"
    ),
    "proxy.core.verification.notation.parse_notation": "by tenant",
    "proxy.core.text.spaced_prose.join_punctuation": "by tenant",
    "plans.strictness.get_operating_points": "a file of the release",
    "proxy.core.verification.equivalence._parse_expanded": "by tenant",
    "proxy.core.verification.chat_reading.digest_word": "words one by one, likewise",
    "proxy.core.verification.parsed_text.parse_text_memoized": "by tenant",
    "proxy.core.verification.parsed_text._canonicalize_cached": "words one by one, likewise",
    "proxy.engines.inference.text_queue.TextQueue._recent": "by tenant",
    "proxy.engines.inference.word_table.open_word_table": "words and their vectors",
    "proxy.engines.verifiers.alignment.AlignmentVerifier._words": "by tenant",
    "proxy.engines.verifiers.chat_weights.chat_verifier_id": "the weights",
    "proxy.engines.verifiers.weights.verifier_id": "the weights",
    "proxy.sealer._build_sealer": "settings",
}


def name_of(node: ast.AST) -> str:
    """What is called, subscripted or named."""
    if isinstance(node, ast.Call):
        return name_of(node.func)
    if isinstance(node, ast.Subscript):
        return name_of(node.value)
    return (
        node.attr
        if isinstance(node, ast.Attribute)
        else node.id
        if isinstance(node, ast.Name)
        else ""
    )


def memories(node: ast.AST, prefix: str) -> Iterator[str]:
    """Functions whose results are kept, and attributes or module variables
    that are such a container."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            if KINDS & set(map(name_of, child.decorator_list)):
                yield f"{prefix}.{child.name}"
            if child.name == "__init__":
                yield from memories(child, prefix)
        elif isinstance(child, ast.ClassDef):
            yield from memories(child, f"{prefix}.{child.name}")
        elif (
            isinstance(child, ast.Assign | ast.AnnAssign)
            and isinstance(child.value, ast.Call)
            and name_of(child.value) in KINDS
        ):
            target = child.target if isinstance(child, ast.AnnAssign) else child.targets[0]
            yield f"{prefix}.{name_of(target)}"


def test_every_memory_is_known_and_so_is_why_it_tells_nobody_of_another_tenant() -> None:
    """Whoever adds one: hold the tenant in its key (`TenantMemory`),
    or say here why it need not."""
    found: set[str] = set()
    for folder in ("proxy", "plans", "stats"):
        for path in (ROOT / folder).rglob("*.py"):
            module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
            found.update(memories(ast.parse(path.read_text()), module))
    assert sorted(found - KNOWN.keys()) == []
    assert {
        "proxy.core.verification.parsed_text.parse_text_memoized",
        "proxy.engines.inference.text_queue.TextQueue._recent",
    } <= found


def test_a_tenant_neither_finds_nor_pushes_out_what_is_another_s() -> None:
    memory: TenantMemory[int, str, int] = TenantMemory(10)
    memory.remember(1, "mine", 1)
    for number in range(100):
        memory.remember(2, f"text {number}", number)
    assert len(memory) == 10
    assert (
        memory.get(1, "mine"),
        memory.get(2, "mine"),
        memory.get(2, "text 99"),
        memory.get(2, "text 0"),
    ) == (1, None, 99, None)
    for tenant in range(3, 30):
        memory.remember(tenant, "mine", 1)
    assert len(memory) == 10


class Counting(ThreadedEmbedder):
    """Counts what is really embedded."""

    name, id, dimension = "embedder", "counting@2", 2

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []

    def _open_vocabulary(self) -> PieceSplitter:
        raise NotImplementedError

    def _encode(self, texts: Sequence[str]) -> Sequence[Vector]:
        self.texts += texts
        return [np.array([3.0, 4.0], dtype=np.float32) for _ in texts]


async def test_a_text_that_one_tenant_asked_is_embedded_anew_for_another() -> None:
    embedder = Counting()
    try:
        for tenant in (1, 1, 2, 2, None, None):
            await embedder.embed("the same secret question", tenant=tenant)
        assert len(embedder.texts) == 3
        await asyncio.gather(
            *(embedder.embed("at the same time", tenant=tenant) for tenant in (1, 2, 1, 2))
        )
        assert embedder.texts.count("at the same time") == 2  # nor does one wait for the other's
    finally:
        await embedder.close()


def test_a_turn_that_one_tenant_sent_is_read_anew_for_another() -> None:
    texts: list[str] = []
    real = parsed_text.parse_text

    def read(text: str) -> parsed_text.ParsedText:
        texts.append(text)
        return real(text)

    remembered = remember_by_tenant(10)(read)
    for tenant in (1, 1, 2, 2, None, None):
        token = CURRENT_TENANT.set(tenant)
        assert remembered("The parcel of the one came late.") == real(
            "The parcel of the one came late."
        )
        CURRENT_TENANT.reset(token)
    assert len(texts) == 4  # nobody's are not remembered
    assert parsed_text.parse_text_memoized.__wrapped__ is real  # type: ignore[attr-defined]


def test_what_was_worked_out_of_one_tenant_s_chat_is_worked_out_anew_for_another() -> None:
    memory, chat = Memo(10_000_000), support_history(20)
    held = []
    for tenant in (1, 1, 2):
        compress(chat, plan(), model=MODEL, memory=memory.for_tenant(tenant))
        held.append(memory.used_bytes)
    assert held[0] == held[1]
    assert held[2] == 2 * held[0]


def test_a_compression_worker_remembers_for_the_tenant_of_the_job_and_nothing_of_previews() -> None:
    memory, chat = Memo(10_000_000), support_history(20)
    first = answer_job(build_job(chat, plan(), MODEL, tenant=1)[FRAME_LENGTH.size :], memory)
    held = memory.used_bytes
    assert held
    assert (
        answer_job(build_job(chat, plan(), MODEL, tenant=1)[FRAME_LENGTH.size :], memory) == first
    )
    answer_job(build_job(chat, plan(), MODEL, "preview")[FRAME_LENGTH.size :], memory)
    assert memory.used_bytes == held
    assert (
        answer_job(build_job(chat, plan(), MODEL, tenant=2)[FRAME_LENGTH.size :], memory) == first
    )
    assert memory.used_bytes == 2 * held
