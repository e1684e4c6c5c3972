"""An end user as the caches know them: by a digest from which nobody without the pepper can tell who it is."""

import hmac


def end_user_digest(user: str | None, *, tenant_id: int, pepper: str) -> str:
    """64 hex characters, HMAC-SHA256 (RFC 2104); "" for nobody. The same name at two tenants is two people."""
    return hmac.digest(pepper.encode(), f"end user\0{tenant_id}\0{user}".encode("utf-8", "surrogatepass"), "sha256").hex() if user else ""
