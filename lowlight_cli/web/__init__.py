"""The web page and its HTTP API: Flask, served by waitress. Pictures come in, pictures go out, and nothing is kept."""

from .app import create_app as create_app

__all__ = ["create_app"]
