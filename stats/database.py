"""Asynchronous connections to PostgreSQL beside Django's, with a deadline for frozen servers."""

import asyncio
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from django.db import Error, connections
from psycopg import AsyncConnection
from psycopg.conninfo import make_conninfo

CONNECT_TIMEOUT_SECONDS = 2.0
Connection = AsyncConnection[tuple[Any, ...]]


def build_conninfo() -> str:
    """Build the libpq connection string of the default database."""
    settings = connections["default"].settings_dict
    named = {
        "host": settings["HOST"],
        "port": settings["PORT"],
        "user": settings["USER"],
        "password": settings["PASSWORD"],
    }
    ssl = {name: value for name, value in settings["OPTIONS"].items() if name.startswith("ssl")}
    return make_conninfo(
        dbname=settings["NAME"], **{name: value for name, value in named.items() if value}, **ssl
    )


async def open_connection(info: str, *, seconds: float = CONNECT_TIMEOUT_SECONDS) -> Connection:
    """Open a connection in autocommit mode. Raises psycopg.OperationalError or TimeoutError."""
    async with asyncio.timeout(seconds):
        return await AsyncConnection.connect(info, autocommit=True, application_name="tokenthrift")


@contextmanager
def try_advisory_lock(lock: int) -> Iterator[bool]:
    """Try to be the only holder of `lock` among all processes on the database; yield the result.

    Does not wait; uses a connection of its own. Raises django.db.Error. For threads.
    """
    # The lock belongs to a transaction that stays open as long as the block. A session lock would
    # be a trap: behind a pooler in transaction mode it stays with a server connection that is lent
    # to another client by then, and is never released. This one ends with its connection, also of
    # killed workers; an open transaction that has read no table delays no vacuum.
    conn = connections["default"].copy()
    try:
        conn.set_autocommit(False)
        with conn.cursor() as cursor:
            cursor.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
            cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [lock])
            leads = bool(cursor.fetchone()[0])
        yield leads
    finally:
        with suppress(Error):  # the block's work is done, whatever became of its lock
            conn.rollback()
        conn.close()


@contextmanager
def enforce_deadline(conn: Connection, seconds: float) -> Iterator[None]:
    """Cut the connection if the block takes longer; then waits on it raise OperationalError."""
    # A plain timeout would not do: psycopg answers a cancelled wait by asking the server to cancel,
    # and waits for that, which a frozen server never answers.
    timer = asyncio.get_running_loop().call_later(seconds, _cut_connection, conn)
    try:
        yield
    finally:
        timer.cancel()


def _cut_connection(conn: Connection) -> None:
    if not conn.closed:
        with socket.socket(fileno=os.dup(conn.fileno())) as line:
            line.shutdown(socket.SHUT_RDWR)
