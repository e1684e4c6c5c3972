"""Admin pages; Django finds them by importing this package."""

from accounts.admin import invitations, people, tokens

__all__ = ["invitations", "people", "tokens"]
