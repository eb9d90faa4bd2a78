"""Inputs of page Simulate as they are first seen, and changed."""

from dataclasses import replace

from app import run_fields
from app.traffic import Traffic

GENERATED = Traffic(trace=None, **{field.name: field.default for field in run_fields.TRAFFIC})


def traffic(**changes):
    return replace(GENERATED, **changes)
