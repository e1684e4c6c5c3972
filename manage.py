#!/usr/bin/env python
"""The command line of a checkout: `gateway_project.command_line`."""

from gateway_project.command_line import main

if __name__ == "__main__":
    main()
