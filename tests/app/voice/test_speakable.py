from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.voice.speakable import Spoken, speakable

SAID: dict[str, dict[str, str | None]] = {
    "en-US": {
        # Plain
        "Hello, this is Meadow Parcel. How can I help?": "Hello, this is Meadow Parcel. How can I help?",
        "It's John's - isn't it? (Yes & no.)": "It's John's - isn't it? (Yes and no.)",
        "  spaces   stay  ": "  spaces   stay  ",
        "Your number is 1 2 3 4 5.": "Your number is 1 2 3 4 5.",
        "Is it 1, 2, 3?": "Is it 1, 2, 3?",
        # Numbers
        "You have 3 parcels.": "You have three parcels.",
        "It costs 1,234 or 2,000,000.": "It costs one thousand two hundred thirty-four or two million.",
        "It is 3.14.": "It is three point one four.",
        "From 10,000 to 1000000.": "From ten thousand to one million.",
        "It is -5 outside.": "It is minus five outside.",
        "COVID-19 and A4": "COVID-nineteen and A4",
        "Version 3.11.2 is out.": "Version three point eleven point two is out.",
        "10-12 days": "ten to twelve days",
        "pages 5–7": "pages five to seven",
        "2 + 2 = 4": "two plus two equals four",
        "We are number #1": "We are number number one",
        "Row #5": "Row number five",
        "I am 24/7 here, 1/2 an hour, 3/4.": "I am twenty-four seven here, one half an hour, three quarters.",
        "½ or 2½": "one half or two and one half",
        # Years and dates
        "In 1999 and 2024.": "In nineteen ninety-nine and twenty twenty-four.",
        "the 1990s": "the nineteen nineties",
        "On 2024-03-05.": "On March fifth, twenty twenty-four.",
        "At 2024-03-05T10:30:00Z.": "At March fifth, twenty twenty-four, ten thirty.",
        "On 3/5/2024.": "On March fifth, twenty twenty-four.",
        "On March 5, 2024, we": "On March fifth, twenty twenty-four, we",
        "On March 5th at noon": "On March fifth at noon",
        "On Jan. 3 or Sept 21": "On January third or September twenty-first",
        "On 5 March 2024.": "On the fifth of March twenty twenty-four.",
        "On the 5 March.": "On the fifth of March.",
        "In May 2024.": "In May twenty twenty-four.",
        "On 2024-13-45.": None,
        # Times
        "At 10:30.": "At ten thirty.",
        "At 10:05 or 9:00.": "At ten oh five or nine o'clock.",
        "At 14:00 or 14:30": "At fourteen hundred or fourteen thirty",
        "At 5 p.m. daily": "At five p.m. daily",
        "At 5pm.": "At five p.m.",
        "At 10:30 AM, or 10:00 am": "At ten thirty a.m., or ten a.m.",
        "9am-5pm": "nine a.m. to five p.m.",
        "9:00-17:30": "nine o'clock to seventeen thirty",
        # Ordinals
        "The 1st, 2nd, 3rd and 21st.": "The first, second, third and twenty-first.",
        "the 112th time": "the one hundred twelfth time",
        # Money
        "$5": "five dollars",
        "$1": "one dollar",
        "It is $12.50.": "It is twelve dollars and fifty cents.",
        "$0.99 or $0.01": "ninety-nine cents or one cent",
        "$1,234.56": "one thousand two hundred thirty-four dollars and fifty-six cents",
        "$1.5 million": "one point five million dollars",
        "£3.01, ¥500 and €20": "three pounds and one penny, five hundred yen and twenty euros",
        "20 EUR or USD 30": "twenty euros or thirty dollars",
        "CHF 7": "seven Swiss francs",
        "It is -$5.20.": "It is minus five dollars and twenty cents.",
        "$5-$10": "five dollars to ten dollars",
        "US$ 5": "five dollars",
        # Measures
        "5 kg": "five kilograms",
        "1 kg or 2.5kg": "one kilogram or two point five kilograms",
        "100 km/h": "one hundred kilometers per hour",
        "20°C or -3 °C": "twenty degrees Celsius or minus three degrees Celsius",
        "50% off, 3.5 %": "fifty percent off, three point five percent",
        "5-10 kg": "five to ten kilograms",
        "6 ft, 3 m and 30 min": "six feet, three meters and thirty minutes",
        "turn 90°": "turn ninety degrees",
        # Telephone numbers and identifiers
        "Call +1 (555) 010-0100.": "Call plus 1, 5 5 5, 0 1 0, 0 1 0 0.",
        "Call (555) 010-0100": "Call 5 5 5, 0 1 0, 0 1 0 0",
        "Call 555-010-0100": "Call 5 5 5, 0 1 0, 0 1 0 0",
        "Call 1-800-555-0199 or dial 112.": "Call 1, 8 0 0, 5 5 5, 0 1 9 9 or dial 1 1 2.",
        "Call +15550100100": "Call plus 1 5 5 5 0 1 0 0 1 0 0",
        "Parcel 12345 is here.": "Parcel 1 2 3 4 5 is here.",
        "Code 007": "Code 0 0 7",
        "Order MP-2024-881.": "Order M P, 2 0 2 4, 8 8 1.",
        "Card 1234-5678-9012": "Card 1 2 3 4, 5 6 7 8, 9 0 1 2",
        # Addresses
        "See example.com.": "See example dot com.",
        "See https://www.example.com/track/my-parcel?id=5.":
            "See example dot com slash track slash my dash parcel.",
        "See www.example.co.uk/": "See example dot co dot uk",
        "Write to jane.doe_1@mail.example.com.":
            "Write to jane dot doe underscore 1 at mail dot example dot com.",
        # Markdown, HTML, emoji
        "**Your** parcel is *here*, __now__ and _then_.": "Your parcel is here, now and then.",
        "## Opening hours": "Opening hours",
        "- bread\n- milk\n* [x] eggs": "bread\nmilk\neggs",
        "1. Open the box.": "one. Open the box.",
        "> quoted": "quoted",
        "See [our page](https://example.com/a_(b) \"title\").": "See our page.",
        "![a map](map.png) here": "a map here",
        "| a | b |\n|---|---|\n| c | d |": "a, b\n\nc, d",
        "Press `Enter` or `x = f(1)` now.": "Press Enter or now.",
        "Look:\n```py\nprint(1)\n```\nDone.": "Look:\n\nDone.",
        "~~no~~ yes": "no yes",
        "a\n---\nb": "a\n\nb",
        "<b>Hello</b><br>you <!-- no -->": "Hello you",
        "<speak>no</speak>": "no",
        "Tom &amp; Jerry &lt; 3": "Tom and Jerry < three",
        "Thanks 😀! Bye 👋🏽": "Thanks! Bye",
        "👍": "",
        "😀 Hello :-)": "Hello",
        "1️⃣ first": "one first",
        "```js\nlet a = 1;\n```": "",
        "```\nno end": "",
        "---": "",
        "...": "",
        "snake_case and 5*3 and 2 < 3": "snake_case and five*three and two < three",
        r"\*not bold\*": "*not bold*",
    },
    "en-GB": {
        "On 2024-03-05.": "On the fifth of March twenty twenty-four.",
        "On 5/3/2024.": "On the fifth of March twenty twenty-four.",
    },
    "de-DE": {
        "Ihr Paket ist da – wirklich?": "Ihr Paket ist da – wirklich?",
        "Sie haben 3 Pakete.": "Sie haben drei Pakete.",
        "1 Paket, 1 Sendung, 1 und 2": "ein Paket, eine Sendung, eins und zwei",
        "Es sind 1.234,5 in allem.": "Es sind eintausendzweihundertvierunddreißig Komma fünf in allem.",
        "Am 3. Mai 2024.": "Am dritten Mai zweitausendvierundzwanzig.",
        "Der 3. Mai, 3. Mai": "Der dritte Mai, dritter Mai",
        "Im 2. Stock, das 4. Mal": "Im zweiten Stock, das vierte Mal",
        "am 05.03.2024": "am fünften März zweitausendvierundzwanzig",
        "am 2024-03-05": "am fünften März zweitausendvierundzwanzig",
        "seit 1999": "seit neunzehnhundertneunundneunzig",
        "um 10:30 Uhr oder 14 Uhr": "um zehn Uhr dreißig oder vierzehn Uhr",
        "um 1:00 oder 9.15 Uhr": "um ein Uhr oder neun Uhr fünfzehn",
        "12,50 € oder 1 €": "zwölf Euro fünfzig oder ein Euro",
        "0,99 €": "neunundneunzig Cent",
        "1,5 Millionen €": "eins Komma fünf Millionen Euro",
        "5 kg, 1 kg und 1 h": "fünf Kilogramm, ein Kilogramm und eine Stunde",
        "20 °C und 5 %": "zwanzig Grad Celsius und fünf Prozent",
        "10-12 Tage": "zehn bis zwölf Tage",
        "anna@example.de": "anna ät example Punkt de",
        "Paket 12345": "Paket 1 2 3 4 5",
        "Tel. 030 1234567": "Tel. 0 3 0, 1 2 3 4 5 6 7",
        "1. Öffnen": "eins. Öffnen",
        "Das sind 12. Das ist gut.": "Das sind zwölf. Das ist gut.",
    },
    "es-ES": {
        "¿Dónde está mi paquete?": "¿Dónde está mi paquete?",
        "Tiene 3 paquetes.": "Tiene tres paquetes.",
        "1 paquete, 1 carta, 1 y 2": "un paquete, una carta, uno y dos",
        "21 paquetes": "veintiún paquetes",
        "3,14": "tres coma uno cuatro",
        "1.234 cartas": "mil doscientos treinta y cuatro cartas",
        "el 5 de marzo de 2024": "el cinco de marzo de dos mil veinticuatro",
        "el 2024-03-05": "el cinco de marzo de dos mil veinticuatro",
        "el 05/03/2024": "el cinco de marzo de dos mil veinticuatro",
        "a las 10:30": "a las diez y treinta",
        "a la 1:00": "a la una",
        "12,50 €": "doce euros con cincuenta céntimos",
        "1 € y $2": "un euro y dos dólares",
        "2 millones €": "dos millones de euros",
        "5 kg y 1 lb": "cinco kilogramos y una libra",
        "5 %": "cinco por ciento",
        "el 1.º y la 2ª": "el primero y la segunda",
        "el 3er piso": "el tercer piso",
        "ana@example.es": "ana arroba example punto es",
        "lunes & martes": "lunes y martes",
        "10-12 días": "diez a doce días",
        "Código 12345": "Código 1 2 3 4 5",
    },
    "es-MX": {"1,234.5": "mil doscientos treinta y cuatro punto cinco"},
    "fr-FR": {
        "Où est mon colis ?": "Où est mon colis ?",
        "Vous avez 3 colis.": "Vous avez trois colis.",
        "1 colis, 1 heure, 21 semaines": "un colis, une heure, vingt-et-une semaines",
        "3,14": "trois virgule un quatre",
        "1 234 lettres": "mille deux cent trente-quatre lettres",
        "le 5 mars 2024": "le cinq mars deux mille vingt-quatre",
        "le 1er mars": "le premier mars",
        "le 2024-03-01": "le premier mars deux mille vingt-quatre",
        "la 2e et la 1ère": "la deuxième et la première",
        "à 10h30 ou 9 h": "à dix heures trente ou neuf heures",
        "à 1:00": "à une heure",
        "12,50 €": "douze euros cinquante",
        "1 € ou 0,50 €": "un euro ou cinquante centimes",
        "2 millions €": "deux millions de euros",
        "5 kg": "cinq kilogrammes",
        "20 °C, 5 %": "vingt degrés Celsius, cinq pour cent",
        "Appelez 01 23 45 67 89": "Appelez 0 1, 2 3, 4 5, 6 7, 8 9",
        "a@example.fr": "a arobase example point fr",
        "10-12 jours": "dix à douze jours",
    },
    "it-IT": {
        "5 kg e 3 pacchi": "cinque chilogrammi e tre pacchi",
        "il 2024-03-05": "il cinque marzo duemilaventiquattro",
        "3 €": "tre euro",
        "vedi example.com": "vedi example.com",
    },
    "nl": {"3 pakjes": "drie pakjes"},
    "pt-BR": {"3 pacotes": "três pacotes"},
    "ja-JP": {"3個、2024-03-05に": "三個、二千二十四年三月五日に"},
    "hi-IN": {"नमस्ते, 3 पार्सल": "नमस्ते, तीन पार्सल"},
    "xx": {"**You** have 3 😀 of 12345.": "You have 3 of 12345."},
    "": {"# 5": "5"},
}  # fmt: skip


@pytest.mark.parametrize(
    ("language", "text", "spoken"),
    [(language, text, spoken) for language, table in SAID.items() for text, spoken in table.items()],
)
def test_what_is_said(language: str, text: str, spoken: str | None) -> None:
    said = speakable(text, language)
    if spoken is not None:
        assert said.text == spoken
    assert_consistent(text, said)


def assert_consistent(text: str, said: Spoken) -> None:
    places = [said.source(char) for char in range(len(said.text) + 1)]
    assert places == sorted(places)
    assert places[-1] == len(text)
    assert all(0 <= place <= len(text) for place in places)
    assert said.source(-1) == places[0]
    assert said.source(len(said.text) + 9) == len(text)


def test_the_position_in_the_source_is_known() -> None:
    text = "**Parcel** 12345 costs $5, see it at 5 p.m. today."
    said = speakable(text, "en-US")
    assert said.text == "Parcel 1 2 3 4 5 costs five dollars, see it at five p.m. today."
    for word in ("Parcel", "costs", "see", "it", "today"):
        assert said.source(said.text.index(word)) == text.index(word)
    assert said.source(said.text.index("4")) == text.index("4")  # within a number read out
    assert said.source(said.text.index("dollars")) == text.index("$5")  # in other words: from its start
    assert said.source(said.text.index(", see")) == text.index(", see")


TEXTS = st.one_of(
    st.text(max_size=120),
    st.text(alphabet="0123456789 .,:-/$€%#+()[]<>*_`|&;hmkgpa\n½🙂", max_size=80),
    st.from_regex(
        re.compile(r"[\w ]{0,20}[*_`~#|<\[]{0,4}[-+$€(]?[0-9]{1,20}([.,:/ -][0-9]{1,5}){0,4} ?\S{0,4}")
    ),
)
LANGUAGES = st.one_of(
    st.sampled_from(["en-US", "en-GB", "de-DE", "es-ES", "fr-FR", "it", "ja-JP", "ar", "ru", "zh-CN", "xx"]),
    st.text(max_size=8),
)


@given(TEXTS, LANGUAGES)
def test_any_text_in_any_language_is_taken(text: str, language: str) -> None:
    assert_consistent(text, speakable(text, language))


def _is_plain(text: str) -> bool:
    """It has words, and none of them is the name of a host, which is spelled: "x.ca"."""
    return any(map(str.isalnum, text)) and not re.search(r"\w\.\w", text)


@given(st.text(alphabet="abc XYZ äßé ,.?!'\n", max_size=100).filter(_is_plain))
def test_plain_text_stays_as_it_is(text: str) -> None:
    assert speakable(text, "en-US") == Spoken(text, range(len(text) + 1))
