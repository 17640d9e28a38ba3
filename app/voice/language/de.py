"""German. Verbs end clauses and prefixes end sentences, so auxiliaries and most prepositions may be last."""

from __future__ import annotations

from app.voice.language.model import LATIN_ENDS, Language, phrases, words

LANGUAGE = Language(
    tag="de",
    sentence_ends=LATIN_ENDS,
    backchannels=phrases(
        "mm, mhm, hm, hmm, aha, ach, ach so, achso, oh, ja, jaja, ja ja, jo, jep, genau, richtig, stimmt",
        "okay, ok, gut, alles klar, klar, na klar, verstehe, ich verstehe, verstanden, ja genau, sicher",
        "natürlich, schön, prima, super, toll, wirklich, echt, na gut, in ordnung, ja gut, ach ja",
    ),
    hesitations=words("äh ähm hm hmm öh öhm ehm eh tja naja"),
    answers=phrases(
        "ja, ja bitte, nein, nein danke, nee, nö, doch, genau, richtig, falsch, stimmt, stimmt nicht",
        "gerne, ja gerne, klar, natürlich, sicher, vielleicht, nicht wirklich, noch nicht, das ist richtig",
        "das stimmt, das war's, das war alles, weiß ich nicht, ich weiß nicht, ich glaube schon",
        "ich glaube nicht, passt",
    ),
    closings=phrases(
        "bitte, danke, danke schön, vielen dank, danke sehr, tschüss, auf wiederhören, auf wiedersehen",
        "uhr, oder so, und so weiter",
    ),
    continuing=words(
        "der den dem des ein eine einen einem einer eines kein keine keinen keinem keiner mein meine",
        "meinen meinem meiner dein deine deinen ihr ihre ihren ihrem ihrer seine seinen seinem unser",
        "unsere unseren und oder aber denn weil dass ob wenn obwohl sondern sowie während bevor nachdem",
        "falls als wie von für bei seit bis ohne gegen zwischen wegen trotz im am zum zur vom beim ins ans",
        "sehr ganz ziemlich ich du wir möchte würde",
    ),
    digits=words("null eins ein zwei zwo drei vier fünf sechs sieben acht neun"),
    letters=words(
        "anton ärger berta cäsar dora emil friedrich gustav heinrich ida julius kaufmann konrad ludwig",
        "martha nordpol otto ökonom paula quelle richard samuel siegfried schule theodor ulrich übermut",
        "viktor wilhelm xanthippe ypsilon zacharias zeppelin eszett strich bindestrich punkt doppel",
    ),
)
