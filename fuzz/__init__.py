"""Searches without bounds, with atheris."""
