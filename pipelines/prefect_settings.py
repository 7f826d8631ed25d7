"""Settings that Prefect must find in the environment before it is imported."""

import os

SETTINGS = {
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "DO_NOT_TRACK": "1",
    "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "120",
    "PREFECT_CLI_PROMPT": "false",
    "PREFECT_LOGGING_LEVEL": "WARNING",
}
"""Nothing is sent anywhere; a slow machine gets its time; the console is ours."""


def apply() -> None:
    """Set what the environment does not set itself."""
    for name, value in SETTINGS.items():
        os.environ.setdefault(name, value)
