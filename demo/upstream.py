"""A labelled upstream: OpenAI's chat API in its own process, for the demo and for tests.

Of the gateway it uses the token count alone.

    python -m demo.upstream --port 9000 --latency-ms 300

Each answer carries the label of the question asked (`demo.answers`). Prompts are counted as the
provider bills them. `GET /ledger` tells what this process saw: requests, prompt tokens and
completion tokens, to be held against the gateway's own figures.
"""

import argparse
import itertools
import time

from demo.answers import answer, label_of
from mock_providers import shapes
from mock_providers.server import Answer, Asked, MockProvider, serve
from proxy.core.tokens import count_prompt_tokens, count_text, find_encoding

MODEL = "gpt-4o-mini"


class DemoUpstream(MockProvider):
    """The ASGI application.

    `latency` in seconds passes before the first byte of every completion.
    """

    def __init__(self, *, latency: float) -> None:
        super().__init__(self._answer)
        self.latency = latency
        self.ledger = {"requests": 0, "prompt_tokens": 0, "completion_tokens": 0}
        self._numbers = itertools.count(1)

    def _answer(self, asked: Asked) -> Answer:
        match (asked.method, asked.path.rstrip("/")):
            case ("POST", "/v1/chat/completions"):
                return self._complete(asked)
            case ("GET", "/v1/models"):
                return Answer(body=shapes.build_model_list(MODEL, owner="tokenthrift-demo"))
            case ("GET", "/ledger"):
                return Answer(body=self.ledger)
            case (method, path):
                return Answer(status=404, body=shapes.build_error(f"Invalid URL ({method} {path})"))

    def _complete(self, asked: Asked) -> Answer:
        body = asked.body
        try:
            label = label_of(body)
            encoding, _ = find_encoding(body["model"])
            prompt = count_prompt_tokens(body["messages"], encoding)
        except (KeyError, IndexError, TypeError, AttributeError) as error:
            reason = f"The request is not a chat completion request: {type(error).__name__}"
            return Answer(status=400, body=shapes.build_error(reason))
        text = answer(label)
        usage = shapes.build_usage(prompt, count_text(text, encoding))
        self.ledger["requests"] += 1
        self.ledger["prompt_tokens"] += usage["prompt_tokens"]
        self.ledger["completion_tokens"] += usage["completion_tokens"]
        completion = shapes.build_completion(
            text,
            id=f"chatcmpl-demo-{next(self._numbers):08d}",
            created=int(time.time()),
            model=body["model"],
            usage=usage,
            fingerprint="fp_demo",
        )
        return Answer(completion=completion, delay=self.latency)


def main() -> None:
    parser = argparse.ArgumentParser(
        description="A labelled, OpenAI-shaped upstream on the loopback interface."
    )
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument(
        "--latency-ms", type=float, default=300.0, help="time to the first byte of a completion"
    )
    arguments = parser.parse_args()
    serve(DemoUpstream(latency=arguments.latency_ms / 1000), arguments.port)


if __name__ == "__main__":
    main()
