"""The SQL of the pgvector backend.

Embedder and dimension are literals, not parameters: the planner can then prove that the partial
index of that embedder fits.
"""

import re
from dataclasses import dataclass

from psycopg import sql

# hnsw.iterative_scan: scan the index until enough rows of the bucket are found, in exact order of
# distance.
SESSION_SETTINGS_SQL = (
    b"SELECT set_config('statement_timeout', %(limit)s, false), set_config('hnsw.iterative_scan', "
    b"'strict_order', false)"
)

SCHEMA_CHECK_SQL = (
    b"SELECT to_regtype('halfvec') IS NOT NULL, to_regclass('proxy_semanticentry') IS NOT NULL"
)

UPSERT_SQL = b"""
INSERT INTO proxy_semanticentry (entry_id, bucket, scope, plan_id, embedder, question, embedding, envelope, created_at, expires_at)
VALUES (%(entry_id)s, %(bucket)s, %(scope)s, %(plan_id)s, %(embedder)s, %(question)s, %(embedding)s, %(envelope)b,
    %(created_at)s, %(expires_at)s)
ON CONFLICT (entry_id) DO UPDATE SET bucket = EXCLUDED.bucket, scope = EXCLUDED.scope, plan_id = EXCLUDED.plan_id,
    embedder = EXCLUDED.embedder, question = EXCLUDED.question, embedding = EXCLUDED.embedding, envelope = EXCLUDED.envelope,
    created_at = EXCLUDED.created_at, expires_at = EXCLUDED.expires_at
"""

GET_SQL = b"""
SELECT bucket, scope, plan_id, question, embedding, envelope, extract(epoch FROM created_at)::float8, extract(epoch FROM expires_at)::float8
FROM proxy_semanticentry WHERE entry_id = %(entry_id)s AND embedder = %(embedder)s AND expires_at > now()
"""

DELETE_SQL = b"DELETE FROM proxy_semanticentry WHERE entry_id = %(entry_id)s"

PURGE_SQL = b"""
DELETE FROM proxy_semanticentry WHERE entry_id IN (
    SELECT entry_id FROM proxy_semanticentry WHERE expires_at <= now() ORDER BY expires_at LIMIT %(limit)s FOR UPDATE SKIP LOCKED)
"""

# In key order: a page begins where the last one ended, whatever was moved or inserted meanwhile.
OUTDATED_SQL = b"""
SELECT embedder, entry_id, plan_id, question, envelope FROM proxy_semanticentry
WHERE embedder <> %(embedder)s AND expires_at > now() AND entry_id > %(after)s ORDER BY entry_id LIMIT %(limit)s
"""

MOVE_SQL = b"""
UPDATE proxy_semanticentry SET embedder = %(embedder)s, embedding = %(embedding)s WHERE entry_id = %(entry_id)s AND embedder = %(old)s
"""


@dataclass(frozen=True, slots=True)
class Statement:
    """A statement with $1, $2 and so on for the values of `parameter_names`.

    `label`: the name under which connections prepare it; empty: planned each time.
    """

    text: bytes
    parameter_names: tuple[str, ...]
    label: bytes


def build_statement(query: bytes, *, label: str = "") -> Statement:
    """Convert a query with psycopg's placeholders to PostgreSQL's own."""
    names = tuple(dict.fromkeys(re.findall(rb"%\((\w+)\)[sb]", query)))
    text = re.sub(
        rb"%\((\w+)\)[sb]", lambda found: b"$%d" % (names.index(found[1]) + 1), query
    ).replace(b"%%", b"%")
    return Statement(text, tuple(name.decode() for name in names), label.encode())


def build_exact_query(embedder_id: str, dimension: int) -> bytes:
    """Build the query that measures up to `most` entries (null: all) and returns the nearest.

    Its last column is how many were measured.
    """
    # MATERIALIZED keeps the planner from walking the HNSW index instead. The wide columns are read
    # for the nearest entries only.
    return (
        sql.SQL("""
WITH measured AS MATERIALIZED (
    SELECT entry_id, embedding::halfvec({dimension}) <=> %(near)s AS distance FROM proxy_semanticentry
    WHERE embedder = {embedder} AND bucket = %(bucket)s AND expires_at > now() LIMIT %(most)s),
winners AS MATERIALIZED (SELECT entry_id, distance FROM measured ORDER BY distance LIMIT %(limit)s)
SELECT entry_id, distance, scope, question, envelope, (SELECT count(*) FROM measured)
FROM winners JOIN proxy_semanticentry USING (entry_id) ORDER BY distance
""")
        .format(**_build_literals(embedder_id, dimension))
        .as_bytes(None)
    )


def build_approximate_query(embedder_id: str, dimension: int) -> bytes:
    """Build the query for the nearest entries, which may use the HNSW index."""
    return (
        sql.SQL("""
SELECT entry_id, embedding::halfvec({dimension}) <=> %(near)s AS distance, scope, question, envelope FROM proxy_semanticentry
WHERE embedder = {embedder} AND bucket = %(bucket)s AND expires_at > now()
ORDER BY embedding::halfvec({dimension}) <=> %(near)s LIMIT %(limit)s
""")
        .format(**_build_literals(embedder_id, dimension))
        .as_bytes(None)
    )


def _build_literals(embedder_id: str, dimension: int) -> dict[str, sql.Literal]:
    """Build the literals of a query."""
    return {
        # psycopg reads a single % in the text as a placeholder.
        "embedder": sql.Literal(embedder_id.replace("%", "%%")),
        "dimension": sql.Literal(dimension),
    }
