"""Verdicts that several of LiteLLM's settings share, each with its reason."""

from typing import Final

from proxy.config_import.report import EXACT, MANUAL, UNSUPPORTED
from proxy.config_import.rules import Ruling

NO_FALLBACK: Final = Ruling(
    UNSUPPORTED,
    "A failed call is not sent to another model: the client gets the error. A plan's "
    "cache.stale_if_error answers from an expired answer.",
)
NO_RETRY: Final = Ruling(
    UNSUPPORTED,
    "Failed calls are not repeated here: the official SDKs do it (max_retries), and "
    "x-should-retry tells them when.",
)
NO_BALANCING: Final = Ruling(
    UNSUPPORTED, "A route has one upstream: there is nothing to choose from or to cool down."
)
NO_RATE_LIMIT: Final = Ruling(
    UNSUPPORTED,
    "Requests and tokens are not limited by the minute: limit them at the provider or in a proxy.",
)
NO_BUDGET: Final = Ruling(
    UNSUPPORTED,
    "Spending is shown and not limited: set a limit at the provider, and alert on the metrics.",
)
CONCURRENCY: Final = Ruling(
    MANUAL, "TOKENTHRIFT_REQUESTS_PER_KEY limits requests at a time, for each key in each worker."
)
CALLBACKS: Final = Ruling(
    UNSUPPORTED,
    "No callbacks. The ledger, /metrics and OpenTelemetry traces tell of each request "
    "(docs/operate.md).",
)
GUARDRAILS: Final = Ruling(UNSUPPORTED, "Requests and answers are not inspected or changed.")
PROMPTS: Final = Ruling(UNSUPPORTED, "Prompts are not kept here: clients send their messages.")
OTHER_API: Final = Ruling(UNSUPPORTED, "Of this API only chat completions and models are served.")
ALERTING: Final = Ruling(
    MANUAL, "deploy/prometheus/rules.yaml has alerts: send them with Alertmanager."
)
PASSED_ON: Final = Ruling(
    UNSUPPORTED,
    "Requests are passed on as they are: a parameter that the provider refuses is an error.",
)
DEFAULT_PARAMETER: Final = Ruling(
    MANUAL, "It was added to requests that lack it: let the clients send it."
)
REDIS: Final = Ruling(MANUAL, "Set REDIS_URL to the Redis of the gateway, not to LiteLLM's.")
ROUTER_REDIS: Final = Ruling(EXACT, "It shared what routing needs, and nothing is routed here.")
OWN_EMBEDDER: Final = Ruling(
    UNSUPPORTED, "Questions are embedded by TOKENTHRIFT_EMBEDDER, in the gateway itself."
)
LOGS: Final = Ruling(EXACT, "Logs are JSON lines at TOKENTHRIFT_LOG_LEVEL.")
CLOUD_CREDENTIALS: Final = Ruling(UNSUPPORTED, "An upstream has a key, and no other credentials.")
MODEL_FACTS: Final = Ruling(UNSUPPORTED, "/model/info told it, which is not here.")
OWN_STORE: Final = Ruling(
    EXACT, "Keys, routes and the ledger are in PostgreSQL in any case (DATABASE_URL)."
)
