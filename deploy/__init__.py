"""What is run around the product, not in it: compose files, dashboards, secrets,
the lock of its packages."""
