"""A Redis without the search module serves the exact tier;
a plan that wants its semantic one is refused, and told why."""

from pathlib import Path

from tests.support.gateways import running_gateway
from tests.support.servers import RedisServer
from tests.support.upstream import running_upstream

GUIDE = {
    "plan_name": "support-bot-cache",
    "compression": {"engine": "text_rank", "max_input_tokens": 4096},
    "cache": {"backend": "redis_semantic", "similarity_threshold": 0.85, "ttl": 3600},
}


def test_the_guides_plan_is_refused_with_the_reason_and_the_default_backend_is_not(
    tmp_path: Path,
) -> None:
    (tmp_path / "redis").mkdir()
    redis = RedisServer(tmp_path / "redis", search=False)
    try:
        with (
            running_upstream() as upstream,
            running_gateway(upstream, tmp_path, REDIS_URL=redis.url) as gateway,
        ):
            refused = gateway.api("POST", "/token-saving/plans", json=GUIDE)
            assert refused.status_code == 400
            error = refused.json()["error"]
            assert error["param"] == "cache.backend"
            assert "search" in error["message"]
            engines = {
                engine["name"]: engine
                for engine in gateway.api("GET", "/token-saving/cache-engines").json()["data"]
            }
            assert not engines["redis_semantic"]["available"]
            assert engines["pgvector_semantic"]["available"]
            guide = GUIDE | {"cache": {"similarity_threshold": 0.85, "ttl": 3600}}
            assert gateway.api("POST", "/token-saving/plans", json=guide).status_code == 201
            changed = gateway.api(
                "PATCH",
                "/token-saving/plans/support-bot-cache",
                json={"cache": {"backend": "redis_semantic"}},
            )
            assert changed.status_code == 400
            assert (
                gateway.api("GET", "/token-saving/plans/support-bot-cache").json()["cache"][
                    "backend"
                ]
                == "pgvector_semantic"
            )
    finally:
        redis.kill()
