"""The app under Streamlit's own test runner: no browser, no server."""

from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

MAIN = Path(__file__).parents[2] / "app" / "main.py"


@pytest.fixture
def open_app():
    """Opens the page by a link; the names of the query are those of the inputs."""

    def opened(**query):
        app = AppTest.from_file(MAIN, default_timeout=60)
        for name, value in query.items():
            app.query_params[name] = value
        app.run()
        return app

    return opened
