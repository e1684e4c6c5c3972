"""Admin pages; Django finds them by importing this package."""

from plans.admin import keys, plans, prices, site, tenants, users

__all__ = ["keys", "plans", "prices", "site", "tenants", "users"]
