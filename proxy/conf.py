"""Deployment settings of the gateway, read from Django settings at the moment of use."""
