"""Spanish."""

from __future__ import annotations

from app.voice.language.model import LATIN_ENDS, Language, phrases, words

LANGUAGE = Language(
    tag="es",
    sentence_ends=LATIN_ENDS,
    backchannels=phrases(
        "mm, mhm, ajá, aja, ah, oh, sí, sí sí, ya, ya veo, claro, claro que sí, vale, de acuerdo, bien",
        "muy bien, está bien, bueno, entiendo, entendido, exacto, exactamente, correcto, así es, okay, ok",
        "perfecto, cierto, verdad, de verdad, por supuesto, ah bueno, ah vale, ándale",
    ),
    hesitations=words("eh ehm em pues mmm mm"),
    answers=phrases(
        "sí, sí por favor, no, no gracias, claro, claro que sí, vale, de acuerdo, exacto, correcto",
        "incorrecto, así es, eso es, por supuesto, tal vez, quizás, todavía no, no sé, no lo sé",
        "creo que sí, creo que no, nada más, eso es todo, está bien, perfecto, ninguno",
    ),
    closings=phrases(
        "por favor, gracias, muchas gracias, adiós, hasta luego, ",
        "buenas noches, etcétera, o algo así",
    ),
    continuing=words(
        "el la los las un una unos unas mi mis tu tus su sus nuestro nuestra nuestros nuestras cada y e o",
        "u pero porque aunque si cuando mientras que como sino ni pues de del a al en con sin por para",
        "sobre entre desde hasta hacia según contra tras yo me te se le les nos lo he has ha hemos han",
        "quiero quisiera puedo necesito muy tan",
    ),
    digits=words("cero uno una dos tres cuatro cinco seis siete ocho nueve"),
    letters=words(
        "be ce de e efe ge hache i jota ka ele eme ene eñe pe cu erre ere ese te uve ve equis zeta guion",
        "punto doble griega",
    ),
)
