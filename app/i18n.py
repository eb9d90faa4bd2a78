"""Every text of the page in English and Simplified Chinese; ids, flags and units stay English."""

from dataclasses import dataclass

from app.texts import (
    compare,
    engines,
    frontier,
    learn,
    log,
    paging,
    plan,
    reasons,
    run_results,
    search,
    sidebar,
    simulate,
    tutorial,
)

LANGUAGES = ("en", "zh")
MODULES = (
    *(sidebar, plan, reasons, engines, compare, frontier),
    *(simulate, run_results, search, paging, learn, tutorial, log),
)
TEXTS: dict[str, tuple[str, str]] = {
    key: texts for module in MODULES for key, texts in module.TEXTS.items()
}


@dataclass(frozen=True, slots=True)
class Text:
    """The page's texts in one language."""

    language: str

    def __call__(self, key: str, /, **values: object) -> str:
        """The text of that key, its placeholders filled."""
        return TEXTS[key][LANGUAGES.index(self.language)].format(**values)

    def template(self, key: str, /) -> str:
        """The text of that key as it stands, for who fills its placeholders elsewhere."""
        return TEXTS[key][LANGUAGES.index(self.language)]
