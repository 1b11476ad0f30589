"""Logs go to stderr: for people on a terminal, one JSON object a line under systemd and wherever else they go."""

from __future__ import annotations

import logging
import os
import sys

import structlog


def configure_logging() -> None:
    """For the programs that run on: the server, the console and the gateway's agent."""
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.dev.ConsoleRenderer() if _is_for_people() else structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )


def _is_for_people() -> bool:
    return "JOURNAL_STREAM" not in os.environ and sys.stderr.isatty()
