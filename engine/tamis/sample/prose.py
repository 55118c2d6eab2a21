"""Plain prose from a small grammar: enough different words that two texts share little by chance."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


ONSETS = _words("b br d dr f fl g gr h j k kl l m n p r s sk st t th tr v w z")
VOWELS = _words("a e i o u ai au ei ie oo")
CODAS = _words("ck l ld lm m n nd ng r rk rn s st t x")
PLACE_ENDINGS = _words("bridge bury field ford gate haven holm mouth stead ton vale wick")
PEOPLE = _words(
    "archivist baker beekeeper botanist carpenter cartographer cellist clerk cook courier dyer engineer ferryman "
    "gardener geologist glazier herder joiner keeper lawyer librarian locksmith mason midwife miller nurse optician "
    "painter pilot plumber potter printer ranger roofer sailor shepherd surveyor tailor teacher translator warden "
    "weaver welder"
)
THINGS = _words(
    "almanac anchor barometer barrel bellows bicycle blanket boiler bucket cabinet candle chimney compass crate "
    "drum engine envelope fiddle furnace generator hammer harness hinge kettle ladder lantern ledger lens loom "
    "manuscript mirror nozzle oar parcel pendulum pump quilt radio rudder saddle scale shovel signal sledge spindle "
    "tarpaulin telescope trowel turbine umbrella valve wheelbarrow whistle winch"
)
PLACES = _words(
    "attic bakery barn bay bridge canal cellar chapel cliff courtyard depot dock field foundry glade greenhouse "
    "harbour hillside hut inn island jetty kiln library lighthouse lock market marsh meadow mill museum orchard "
    "pass pier quarry railway reservoir school shed spring square stable station terrace tunnel valley vineyard "
    "warehouse well workshop yard"
)
QUALITIES = _words(
    "ancient blue borrowed bright broad broken careful cheap cold copper crooked damp distant dusty empty faded "
    "familiar forgotten fragile frozen golden gray green heavy hollow honest iron lively loud massive narrow new "
    "noisy odd painted pale patient plain polished quiet rare rough rusty sharp shallow silver slow small smooth "
    "solid stubborn tall thin tidy unusual warm wet wooden worn yellow"
)
DEEDS = _words(
    "admired borrowed bought carried cleaned collected copied counted covered delivered described drew dropped "
    "emptied examined exchanged filled fixed followed found guarded hid improved inspected kept lent lifted lost "
    "measured mended moved noticed opened ordered packed photographed polished pulled raised received recorded "
    "removed repaired sealed sketched sold sorted stored studied tested traded turned unpacked washed watched "
    "weighed wrapped"
)
MANNERS = _words(
    "again alone anyway calmly early eagerly gently gladly gravely hastily hourly idly kindly late loudly neatly "
    "often openly partly politely promptly proudly quickly rarely safely secretly seldom silently slowly softly "
    "soon suddenly thoroughly together twice warily weekly willingly"
)
TIMES = (
    "after the storm",
    "at dawn",
    "before lunch",
    "by lamplight",
    "during the long strike",
    "every other winter",
    "in the last week of autumn",
    "on the first dry morning",
    "since the flood",
    "towards evening",
    "two days later",
    "until the bells rang",
    "when the tide turned",
    "while the others slept",
)
LINKS = _words("although because before but once since so unless until whereas while yet")
FOREIGN_NAMES = _words("Ångström Łódź Çelik Đorđe Ñuñoa Øresund Þingvellir Αθήνα Київ Тбилиси تبريز 京都 서울 Żółć naïveté")


class Writer:
    """Writes sentences by the choices of one random generator."""

    def __init__(self, rng: np.random.Generator) -> None:
        self._rng = rng

    def one_of(self, words: tuple[str, ...]) -> str:
        """Choose one word."""
        return words[int(self._rng.integers(len(words)))]

    def name(self) -> str:
        """Make up a name of two or three syllables."""
        syllables = [self.one_of(ONSETS) + self.one_of(VOWELS) for _ in range(int(self._rng.integers(1, 3)))]
        return ("".join(syllables) + self.one_of(CODAS)).capitalize()

    def _thing(self) -> str:
        return f"the {self.one_of(QUALITIES)} {self.one_of(THINGS)}"

    def _person(self) -> str:
        if self._rng.random() < 0.4:
            return f"{self.name()} the {self.one_of(PEOPLE)}"
        return f"the {self.one_of(QUALITIES)} {self.one_of(PEOPLE)}"

    def _place(self) -> str:
        if self._rng.random() < 0.4:
            return f"the {self.one_of(PLACES)} of {self.name()}{self.one_of(PLACE_ENDINGS)}"
        return f"the {self.one_of(QUALITIES)} {self.one_of(PLACES)}"

    def _clause(self) -> str:
        match int(self._rng.integers(4)):
            case 0:
                return f"{self._person()} {self.one_of(MANNERS)} {self.one_of(DEEDS)} {self._thing()}"
            case 1:
                return f"{self._person()} {self.one_of(DEEDS)} {self._thing()} near {self._place()} {self.one_of(TIMES)}"
            case 2:
                count = int(self._rng.integers(2, 400))
                return f"{count} {self.one_of(QUALITIES)} {self.one_of(THINGS)}s stood at {self._place()}"
            case _:
                return f"{self.one_of(TIMES)} {self._person()} {self.one_of(DEEDS)} {self._thing()} for {self._person()}"

    def _sentence(self) -> str:
        clause = self._clause()
        if self._rng.random() < 0.5:
            clause = f"{clause}, {self.one_of(LINKS)} {self._clause()}"
        return f"{clause[0].upper()}{clause[1:]}."

    def text(self, words: int) -> str:
        """Write sentences until there are at least so many words."""
        sentences: list[str] = []
        written = 0
        while written < words:
            sentences.append(self._sentence())
            written += len(sentences[-1].split())
        return " ".join(sentences)
