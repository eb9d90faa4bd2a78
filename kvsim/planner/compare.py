"""Scenarios side by side: their figures, the settings that differ, and which of them does what."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from kvsim.errors import KvsimError, SpecError
from kvsim.planner.scenario_answer import Number, ScenarioAnswer
from kvsim.planner.scenarios import setting_values, value_text, with_setting
from kvsim.specs.attention import check_positive
from kvsim.specs.digest import digest
from kvsim.specs.scenario import Scenario

Json = dict[str, object]
Answer = Callable[[Scenario], ScenarioAnswer]

LEAST, MOST = 2, 6
"""Scenarios that are set side by side."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingChange:
    """A setting that differs from the baseline's, and the baseline with this change alone.

    `alone` is None where the setting cannot be without others; `refusal` says why.
    """

    setting: str
    baseline: str
    value: str
    alone: ScenarioAnswer | None
    refusal: str | None

    def as_dict(self) -> Json:
        """The change as plain values."""
        return {
            "setting": self.setting,
            "baseline": self.baseline,
            "value": self.value,
            "fits_alone": self.alone and self.alone.fits,
            "refusal": self.refusal,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class FigurePart:
    """What one setting alone does to a figure; None where the figure is then not known."""

    setting: str
    amount: Number | None


@dataclass(frozen=True, slots=True, kw_only=True)
class FigureDifference:
    """How far a figure is from the baseline's, and what of it each setting does alone.

    The parts that are known and `interaction` add up to `amount` exactly; `amount` is None, and
    there are no parts, where a side is not known.
    """

    figure: str
    baseline: Number | None
    value: Number | None
    parts: tuple[FigurePart, ...]

    @property
    def amount(self) -> Number | None:
        """The scenario's figure less the baseline's."""
        return _less(self.value, self.baseline)

    @property
    def interaction(self) -> Number | None:
        """What no setting does alone: they take effect together, or cannot be told apart."""
        if self.amount is None:
            return None
        return self.amount - sum(part.amount for part in self.parts if part.amount is not None)

    def as_dict(self) -> Json:
        """The difference as plain values."""
        return {
            "figure": self.figure,
            "baseline": _plain(self.baseline),
            "value": _plain(self.value),
            "difference": _plain(self.amount),
            "parts": [
                {"setting": part.setting, "difference": _plain(part.amount)} for part in self.parts
            ],
            "interaction": _plain(self.interaction),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """What sets one scenario apart from the baseline: settings, and the figures they change."""

    scenario: str
    changes: tuple[SettingChange, ...]
    figures: tuple[FigureDifference, ...]

    def as_dict(self) -> Json:
        """The difference as plain values."""
        return {
            "scenario": self.scenario,
            "settings": [change.as_dict() for change in self.changes],
            "figures": [figure.as_dict() for figure in self.figures],
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Two to six scenarios; each but the first is explained against the first, the baseline."""

    names: tuple[str, ...]
    answers: tuple[ScenarioAnswer, ...]
    differences: tuple[Difference, ...]

    @property
    def digest(self) -> str:
        """What tells this comparison from others: all that its scenarios say."""
        return digest([answer.scenario for answer in self.answers])

    def as_dict(self) -> Json:
        """The comparison as plain values."""
        named = zip(self.names, self.answers, strict=True)
        return {
            "digest": self.digest,
            "baseline": self.names[0],
            "scenarios": [{"name": name, **answer.as_dict()} for name, answer in named],
            "differences": [difference.as_dict() for difference in self.differences],
        }


def compare(
    scenarios: Sequence[Scenario], answer: Answer, *, num_tokens: int | None = None
) -> Comparison:
    """Every scenario's figures, and what each setting that differs does to them.

    Args:
        scenarios: two to six, no two alike; the first is the baseline.
        answer: a scenario's figures.
        num_tokens: tokens of each request in all of them; None means each one's `max_model_len`.

    Raises:
        SpecError: for another number of scenarios, two that are alike, names given twice, or where
            every one is refused.
    """
    asked = tuple(_with_length(scenario, num_tokens) for scenario in scenarios)
    if not LEAST <= len(asked) <= MOST:
        msg = f"scenarios={len(asked)} must be {LEAST} to {MOST}"
        raise SpecError(msg)
    names = _names(asked)
    answers = tuple(answer(scenario) for scenario in asked)
    base = answers[0]
    if all(told.cost is None and told.holding is None for told in answers):
        raise SpecError(base.refusal or "no scenario has an answer")
    differences = tuple(
        _difference(base, told, name, answer)
        for told, name in zip(answers[1:], names[1:], strict=True)
    )
    return Comparison(names=names, answers=answers, differences=differences)


def _with_length(scenario: Scenario, num_tokens: int | None) -> Scenario:
    if num_tokens is None:
        return scenario
    check_positive(num_tokens=num_tokens)
    engine = replace(scenario.deployment.engine, max_model_len=num_tokens, auto_max_model_len=False)
    return replace(scenario, deployment=replace(scenario.deployment, engine=engine))


def _names(scenarios: Sequence[Scenario]) -> tuple[str, ...]:
    """Each scenario's own name, or the values of the settings that set it apart.

    Raises:
        SpecError: for scenarios that are alike, or have one name.
    """
    is_alike = len({scenario.engine for scenario in scenarios}) == 1
    values = [setting_values(scenario, is_alike=is_alike) for scenario in scenarios]
    for i, mine in enumerate(values):
        for j in range(i):
            if mine == values[j]:
                msg = f"scenarios {j + 1} and {i + 1} are the same: each must differ in a setting"
                raise SpecError(msg)
    apart = [name for name in values[0] if any(v[name] != values[0][name] for v in values)]
    names = tuple(
        scenario.name or ", ".join(_labels(apart, mine))
        for scenario, mine in zip(scenarios, values, strict=True)
    )
    for name in names:
        if names.count(name) > 1:
            msg = f"scenarios={name[:60]} must not be the name of two"
            raise SpecError(msg)
    return names


NAMED_BY_VALUE = ("model", "engine", "gpu")


def _labels(apart: Sequence[str], values: Mapping[str, object]) -> list[str]:
    return [
        value_text(values[name]) if name in NAMED_BY_VALUE else f"{name}={value_text(values[name])}"
        for name in apart
    ]


def _difference(
    base: ScenarioAnswer, told: ScenarioAnswer, name: str, answer: Answer
) -> Difference:
    changes = _changes(base, told, answer)
    ours, theirs = base.figures, told.figures
    alone = [
        (change.setting, {} if change.alone is None else change.alone.figures) for change in changes
    ]
    return Difference(
        scenario=name,
        changes=changes,
        figures=tuple(
            FigureDifference(
                figure=figure,
                baseline=ours[figure],
                value=theirs[figure],
                parts=()
                if ours[figure] is None or theirs[figure] is None
                else tuple(
                    FigurePart(setting=setting, amount=_less(found.get(figure), ours[figure]))
                    for setting, found in alone
                ),
            )
            for figure in ours
            if ours[figure] != theirs[figure]
        ),
    )


def _changes(
    base: ScenarioAnswer, told: ScenarioAnswer, answer: Answer
) -> tuple[SettingChange, ...]:
    """Each setting that differs, and the baseline with it alone."""
    is_alike = base.scenario.engine == told.scenario.engine
    ours = setting_values(base.scenario, is_alike=is_alike)
    theirs = setting_values(told.scenario, is_alike=is_alike)
    differ = [name for name in ours if ours[name] != theirs[name]]
    changes = []
    for name in differ:
        is_all = len(differ) == 1
        alone, refusal = (
            (told, told.refusal) if is_all else _alone(base.scenario, told.scenario, name, answer)
        )
        changes.append(
            SettingChange(
                setting=name,
                baseline=value_text(ours[name]),
                value=value_text(theirs[name]),
                alone=alone,
                refusal=refusal,
            )
        )
    return tuple(changes)


def _alone(
    base: Scenario, other: Scenario, name: str, answer: Answer
) -> tuple[ScenarioAnswer | None, str | None]:
    try:
        told = answer(with_setting(base, other, name))
    except KvsimError as error:
        return None, error.words
    return told, told.refusal


def _less(value: Number | None, base: Number | None) -> Number | None:
    return None if value is None or base is None else value - base


def _plain(value: Number | None) -> int | float | None:
    return float(value) if isinstance(value, Decimal) else value
