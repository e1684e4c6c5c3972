"""Databases for gateways of tests: one is brought up to date once, the others are copies of it."""

import json
import os
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from urllib.parse import urlsplit

import psycopg

ROOT = Path(__file__).resolve().parents[2]
ROUTE, MODEL = "smart/balanced", "gpt-4o-mini"
NOWHERE = "http://127.0.0.1:9/v1"  # until `point` says where
PREPARE = (
    "from django.core.management import call_command as call; call('migrate', verbosity=0); "
    "call('seed_prices', verbosity=0)"
)


@dataclass(frozen=True)
class Ready:
    """A database that nobody is connected to."""

    name: str
    accounts: "Accounts"


@dataclass(frozen=True)
class Accounts:
    """Who may do what in a database. `password`: that of the staff login `admin`."""

    virtual_key: str
    admin_key: str
    password: str


@cache
def ready_database() -> Ready:
    """Tables, prices, and what `accounts` makes;
    once for this process, since a gateway that makes them anew starts seconds later."""
    url = _create(os.environ["DATABASE_URL"], "template1")
    environment = {**os.environ, "DATABASE_URL": url}
    _run(environment, "manage.py", "shell", "--verbosity", "0", "-c", PREPARE)
    return Ready(_name(url), accounts(environment, NOWHERE))


def accounts(environment: dict[str, str], base_url: str) -> Accounts:
    """Make a tenant, its keys, a staff login and the route to the upstream."""
    found = json.loads(
        _run(
            environment,
            "-m",
            "demo.accounts",
            "--route",
            ROUTE,
            "--model",
            MODEL,
            "--base-url",
            base_url,
        ).splitlines()[-1]
    )
    return Accounts(**found)


def point(database: str, base_url: str) -> None:
    """Let the route of a copy lead to this upstream."""
    with psycopg.connect(database) as connection:
        connection.execute("UPDATE proxy_upstream SET base_url = %s", [base_url])


@contextmanager
def own_database(server: str, *, copy_of: str) -> Iterator[str]:
    """A database of its own on that server, made from another; its URL."""
    url = _create(server, copy_of)
    try:
        yield url
    finally:
        with psycopg.connect(server, autocommit=True) as connection:
            connection.execute(f"DROP DATABASE {_name(url)} WITH (FORCE)".encode())


def _create(server: str, copy_of: str) -> str:
    name = f"gateway_{uuid.uuid4().hex[:8]}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE {copy_of}".encode())
    return urlsplit(server)._replace(path=f"/{name}").geturl()


def _name(url: str) -> str:
    return urlsplit(url).path.removeprefix("/")


def _run(environment: dict[str, str], *arguments: str) -> str:
    command = [sys.executable, *arguments]
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120, check=True
    )
    return done.stdout
