"""The app under Streamlit's own test runner: no browser, no server."""

from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

MAIN = Path(__file__).parents[2] / "app" / "main.py"
PAGE = """
from app import forms, link
from app.views import {name}

link.open_visit()
t = forms.language()
{name}.show(forms.inputs(t), t)
link.close_run(t)
"""


def visit(app, query):
    for name, value in query.items():
        app.query_params[name] = value
    return app.run()


@pytest.fixture
def open_app():
    """Opens the first page by a link; the names of the query are those of the inputs."""

    def opened(**query):
        return visit(AppTest.from_file(MAIN, default_timeout=60), query)

    return opened


@pytest.fixture
def open_page():
    """Opens another page: the runner does not follow navigation between functions."""

    def opened(page, **query):
        return visit(AppTest.from_string(PAGE.format(name=page), default_timeout=60), query)

    return opened
