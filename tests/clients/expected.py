"""The clients, and what each does with answers and errors of the server."""

from __future__ import annotations

from dataclasses import dataclass

KEY = "the-key-of-the-tests"
QUERY = "how do I sort a dictionary by value"


@dataclass(frozen=True)
class Client:
    """A client in an environment, and the names of the errors that it raises."""

    environment: str
    call: str
    """A function of a module of ``callers``."""
    unauthorized: str
    too_large: str
    overloaded: str
    texts: str = "its own"
    """Whose documents it gives: the ``server``'s where it asks for them, ``its own``, or none."""
    says_why: bool = True
    """Whether its errors have the server's message."""

    def __str__(self) -> str:
        return f"{self.environment}-{self.call}"


def _cohere(environment: str, call: str, texts: str = "its own") -> Client:
    # The SDK retries what is overloaded: see test_overload.py.
    return Client(environment, call, "UnauthorizedError", "ApiError", "TooManyRequestsError", texts)


def _litellm(provider: str, texts: str = "server", too_large: str = "BadRequestError") -> Client:
    call = f"in_litellm.{provider}"
    return Client("shared", call, "AuthenticationError", too_large, "RateLimitError", texts)


def _one_error(environment: str, call: str, error: str, **more: str | bool) -> Client:
    return Client(environment, call, error, error, error, **more)  # type: ignore[arg-type]


CLIENTS = [
    *(
        _cohere(environment, f"cohere_sdk.{name}", texts)
        for environment in ("shared", "cohere7")
        for name, texts in {
            "v1": "server",
            "v1_objects": "server",
            "v2": "none",
            "v2_async": "none",
        }.items()
    ),
    Client("shared", "voyage_sdk.rerank", "AuthenticationError", "APIError", "RateLimitError"),
    _cohere("shared", "in_langchain.cohere"),
    _cohere("shared", "in_llama_index.cohere"),
    _one_error("shared", "in_llama_index.jina", "RuntimeError"),
    # It looks at no status, and an error has another length than the nodes.
    _one_error("shared", "in_llama_index.tei", "AssertionError", says_why=False),
    _cohere("shared", "in_haystack.cohere"),
    _one_error("shared", "in_haystack.jina", "RuntimeError"),
    _one_error("shared", "in_haystack.tei", "RuntimeError"),
    _one_error("shared", "in_haystack.tei_cut_left", "RuntimeError"),
    _litellm("cohere", texts="none"),
    _litellm("hosted_vllm", too_large="APIError"),
    _litellm("infinity"),
    _litellm("huggingface", too_large="APIError"),
    _litellm("jina_ai"),
    _litellm("voyage"),
    _one_error("infinity", "infinity_sdk.plain", "RuntimeError", texts="server"),
    _one_error("infinity", "infinity_sdk.prefixed", "RuntimeError", texts="server"),
    # Its client gives None for whatever isn't 200.
    _one_error("infinity", "in_langchain.infinity", "TypeError", says_why=False),
    _one_error("infinity", "in_langchain.jina", "RuntimeError"),
]
