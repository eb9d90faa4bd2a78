"""A pytest plugin: Hypothesis as a mutant needs it, the same each time and without shrinking."""

from hypothesis import Phase, settings

settings.register_profile(
    "mutation",
    deadline=None,
    derandomize=True,
    database=None,
    phases=(Phase.explicit, Phase.generate),
)
