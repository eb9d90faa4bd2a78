"""What a command cannot do is one line that says which two things do not go together."""

import pytest

from kvsim.cli import main


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (("waste", "--paper", "--num-requests", "0"), "num_requests=0 must be >= 1"),
        (("waste", "--paper", "--frames", "8"), "are of --trace or --chat, not of --paper"),
        (("workload", "from-metrics", "A", "B", "C"), "pages=3 must be 1 or 2"),
        (
            ("workload", "from-metrics", "http://127.0.0.1:1/metrics", "--seconds", "0"),
            "seconds=0.0 must be > 0",
        ),
    ],
)
def test_what_does_not_go_together_is_one_line(argv, message, capsys):
    """
    Exit 2, and the field, its value and the rule.
    """
    code = main([*argv])

    told = capsys.readouterr()
    assert (code, told.out) == (2, "")
    assert message in told.err
    assert told.err.count("\n") == 1
