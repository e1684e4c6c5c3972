"""placeholder, replaced by the services work"""
import os
from dataclasses import dataclass
from pathlib import Path

@dataclass(frozen=True)
class Urls:
    database: str
    redis: str
    redis_semantic: str
    qdrant: str

def urls(var: Path) -> Urls:
    redis = os.environ.get("REDIS_URL", "redis://127.0.0.1:1/1")
    return Urls(os.environ.get("DATABASE_URL", "postgres://u:p@127.0.0.1:1/x"), redis, os.environ.get("REDIS_SEMANTIC_URL", redis), "")

def secret(var: Path, name: str) -> str:
    return os.environ.get(name, "insecure")
