"""Identify the caller by its API key.

The first stage: a wrong key costs no body, no parsing, no lookup beyond one dictionary.
"""

from plans import key_secrets
from proxy.core.errors import InvalidApiKey, KeyPaused, NotReady
from proxy.core.tenant_memory import CURRENT_TENANT
from proxy.pipeline.call import Call, evolve
from proxy.pipeline.toolbox import Toolbox


async def authenticate(call: Call, tools: Toolbox) -> Call:
    """Set the key, and the configuration that the call keeps to its end.

    Raises InvalidApiKey for a missing, malformed, unknown, revoked or expired key, KeyPaused for a
    paused one, NotReady before the first configuration snapshot.
    """
    if not call.secret:
        raise InvalidApiKey("No API key was given. Send it as `Authorization: Bearer tt-...`.")
    directory = tools.config_source.config
    if directory.revision < 0:
        raise NotReady(
            "The gateway is starting and has not read its configuration yet. Try again in a moment."
        )
    # The dictionary is keyed by an HMAC under a secret pepper, so lookup times reveal nothing about
    # any key.
    digest = key_secrets.compute_client_digest(call.secret, pepper=tools.limits.key_pepper)
    key = directory.keys.get(digest) if digest else None
    if key is None or (key.expires_at is not None and key.expires_at <= call.at):
        raise InvalidApiKey(_describe_refusal(call.secret, is_known=key is not None))
    if key.paused:
        raise KeyPaused("This API key is paused. Whoever manages the gateway can resume it.")
    CURRENT_TENANT.set(key.tenant_id)
    return evolve(call, key=key, config=directory, secret=None)


def _describe_refusal(secret: str, *, is_known: bool) -> str:
    if is_known or key_secrets.is_well_formed(secret, key_secrets.VIRTUAL_KEY_KIND):
        return "This API key is unknown, revoked or expired."
    return "This is not a virtual key: those start with tt- and come from your administrator."
