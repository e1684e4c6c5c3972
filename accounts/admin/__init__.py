"""Admin pages; Django finds them by importing this package."""

from accounts.admin import people, tokens

__all__ = ["people", "tokens"]
