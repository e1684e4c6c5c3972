"""Django finds the admin pages by importing this package."""

from plans.admin import keys, plans, prices, site, tenants, users

__all__ = ["keys", "plans", "prices", "site", "tenants", "users"]
