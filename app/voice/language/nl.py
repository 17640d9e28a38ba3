"""Dutch. Verbs end clauses and prefixes end sentences, so auxiliaries and most prepositions may be last."""

from __future__ import annotations

from app.voice.language.model import LATIN_ENDS, Language, phrases, words

LANGUAGE = Language(
    tag="nl",
    sentence_ends=LATIN_ENDS,
    backchannels=phrases(
        "mm, mhm, hm, hmm, aha, ah, oh, oh ja, ja, jaja, ja ja, jawel, klopt, dat klopt, precies, juist",
        "inderdaad, oké, okay, ok, goed, prima, mooi, begrijp ik, ik begrijp het, ik snap het, snap ik",
        "natuurlijk, zeker, echt, tuurlijk, helemaal goed, is goed, dat is goed, nou, fijn",
    ),
    hesitations=words("eh ehm euh uh uhm hm hmm nou tja"),
    answers=phrases(
        "ja, ja graag, nee, nee dank je, nee bedankt, jawel, klopt, dat klopt, precies, juist, goed, fout",
        "zeker, natuurlijk, misschien, nog niet, niet echt, ik weet het niet, weet ik niet, ik denk het",
        "ik denk van wel, ik denk het niet, dat was het, dat is alles, verder niets, prima, oké, graag",
    ),
    closings=phrases(
        "alstublieft, alsjeblieft, graag, bedankt, dank u, dank u wel, dank je wel, tot ziens, dag, doei",
        "uur, enzovoort, of zoiets",
    ),
    continuing=words(
        "de een het mijn jouw uw zijn haar ons onze hun geen elke iedere andere en of maar want omdat dat",
        "als wanneer terwijl hoewel zodat tenzij dan noch van voor bij sinds tot zonder tegen tussen",
        "wegens naar heel erg zeer ik we wij ben wil zou",
    )
    - words("het zijn haar ons dat dan erg voor tegen naar zou wil"),
    digits=words("nul een één twee drie vier vijf zes zeven acht negen"),
    letters=words(
        "anton bernard cornelis dirk eduard ferdinand gerard hendrik izaak jan karel lodewijk maria nico",
        "otto pieter quotiënt rudolf simon teunis utrecht victor willem xantippe ypsilon zaandam streepje",
        "punt dubbel",
    ),
)
