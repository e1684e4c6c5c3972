"""Read keys and teams from the database of LiteLLM's proxy.

Tables and columns: schema.prisma of LiteLLM 1.105. Columns that an older or newer one adds come
along; what it lacks restricts nobody.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import psycopg
from psycopg import sql
from psycopg.rows import dict_row

MAX_ROWS: Final = 100_000  # of each table
CONNECT_TIMEOUT_SECONDS: Final = 10
STATEMENT_TIMEOUT_MS: Final = 60_000
KEY_TABLE: Final = "LiteLLM_VerificationToken"
TEAM_TABLE: Final = "LiteLLM_TeamTable"
USER_TABLE: Final = "LiteLLM_UserTable"
MEMBER_TABLE: Final = "LiteLLM_TeamMembership"
BUDGET_TABLE: Final = "LiteLLM_BudgetTable"
MODEL_TABLE: Final = "LiteLLM_ProxyModelTable"
SETTING_TABLE: Final = "LiteLLM_Config"
# Tables of which only names are read: what they hold is encrypted, or stands in the file.
NAME_COLUMNS: Final = {MODEL_TABLE: "model_name", SETTING_TABLE: "param_name"}

Row = dict[str, Any]
Connection = psycopg.Connection[Row]


@dataclass(frozen=True, slots=True)
class LiteLLMRows:
    """What is imported: rows by column, and the models of people, whose keys open no others.

    `user_models`: by user; `member_models`: by user and team; `names`: by table, of what is told
    and not imported.
    """

    keys: list[Row]
    teams: list[Row]
    user_models: Mapping[str, list[str]]
    member_models: Mapping[tuple[str, str], list[str]]
    names: Mapping[str, list[str]]


class UnreadableDatabase(Exception):
    """The database cannot be read. The message is a sentence without the address or password."""


def read_database(url: str) -> LiteLLMRows:
    """Read it in one read-only transaction. Raises UnreadableDatabase."""
    options = f"-c statement_timeout={STATEMENT_TIMEOUT_MS} -c default_transaction_read_only=on"
    try:
        with psycopg.connect(
            url,
            connect_timeout=CONNECT_TIMEOUT_SECONDS,
            options=options,
            row_factory=dict_row,
        ) as connection:
            return _read_all(connection)
    except psycopg.errors.UndefinedTable:
        raise UnreadableDatabase(
            f"The database has no table {KEY_TABLE} or {TEAM_TABLE}: is it LiteLLM's?"
        ) from None
    except psycopg.Error as error:
        # The server's own words may hold the address.
        raise UnreadableDatabase(f"The database cannot be read: {type(error).__name__}.") from None


def _read_all(connection: Connection) -> LiteLLMRows:
    users: list[Row] = []
    members: list[Row] = []
    if _has_column(connection, USER_TABLE, "models"):
        query = sql.SQL("SELECT user_id, models FROM {}").format(sql.Identifier(USER_TABLE))
        users = _fetch(connection, query, USER_TABLE, "user_id")
    if _has_column(connection, BUDGET_TABLE, "allowed_models"):
        query = sql.SQL(
            "SELECT user_id, team_id, allowed_models FROM {} JOIN {} USING (budget_id)"
        ).format(sql.Identifier(MEMBER_TABLE), sql.Identifier(BUDGET_TABLE))
        members = _fetch(connection, query, MEMBER_TABLE, "user_id", "team_id")
    rows = {}
    for table, key in ((KEY_TABLE, "token"), (TEAM_TABLE, "team_id")):
        # By age, so that the names which are numbered stay when the import is run again.
        has_age = _has_column(connection, table, "created_at")
        rows[table] = _fetch(
            connection,
            sql.SQL("SELECT * FROM {}").format(sql.Identifier(table)),
            table,
            *(("created_at", key) if has_age else (key,)),
        )
    return LiteLLMRows(
        rows[KEY_TABLE],
        rows[TEAM_TABLE],
        {row["user_id"]: row["models"] or [] for row in users},
        {(row["user_id"], row["team_id"]): row["allowed_models"] or [] for row in members},
        {table: _read_names(connection, table, name) for table, name in NAME_COLUMNS.items()},
    )


def _read_names(connection: Connection, table: str, column: str) -> list[str]:
    if not _has_column(connection, table, column):
        return []
    query = sql.SQL("SELECT {} AS name FROM {}").format(
        sql.Identifier(column), sql.Identifier(table)
    )
    return [str(row["name"]) for row in _fetch(connection, query, table, "name")]


def _has_column(connection: Connection, table: str, column: str) -> bool:
    found = connection.execute(
        "SELECT 1 FROM information_schema.columns WHERE table_name = %s AND column_name = %s",
        [table, column],
    )
    return found.fetchone() is not None


def _fetch(connection: Connection, query: sql.Composed, table: str, *order: str) -> list[Row]:
    """Fetch the rows in order. Raises UnreadableDatabase for more than MAX_ROWS."""
    ordered = sql.SQL("{} ORDER BY {} LIMIT {}").format(
        query, sql.SQL(", ").join(map(sql.Identifier, order)), sql.Literal(MAX_ROWS + 1)
    )
    rows = connection.execute(ordered).fetchall()
    if len(rows) > MAX_ROWS:
        raise UnreadableDatabase(f"{table} has more than {MAX_ROWS:,} rows.")
    return rows
