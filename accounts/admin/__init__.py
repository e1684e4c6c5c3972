"""Admin pages; Django finds them by importing this package."""

from accounts.admin import people

__all__ = ["people"]
