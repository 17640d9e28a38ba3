"""Portuguese."""

from __future__ import annotations

from app.voice.language.model import LATIN_ENDS, Language, phrases, words

LANGUAGE = Language(
    tag="pt",
    sentence_ends=LATIN_ENDS,
    backchannels=phrases(
        "mm, mhm, aham, uhum, ah, ah sim, ah tá, oh, sim, sim sim, é, claro, certo, tá, tá bom, tá certo",
        "está bem, está bom, bem, bom, muito bem, ok, okay, entendi, entendo, percebo, estou a ver, exato",
        "exatamente, isso, isso mesmo, pois, pois é, pois sim, verdade, é verdade, perfeito, beleza",
        "com certeza",
    ),
    hesitations=words("hã ah eh hum mm ahn então"),
    answers=phrases(
        "sim, sim por favor, não, não obrigado, não obrigada, claro, certo, correto, errado, exato, isso",
        "isso mesmo, com certeza, talvez, ainda não, não sei, acho que sim, acho que não, é só isso",
        "só isso, mais nada, está bem, tá bom, perfeito, nenhum",
    ),
    closings=phrases(
        "por favor, se faz favor, obrigado, obrigada, muito obrigado, muito obrigada, adeus, tchau",
        "até logo, boa noite, etcétera, ou algo assim",
    ),
    continuing=words(
        "o os as um uma uns umas meu seu nosso cada e ou mas porque embora se quando enquanto que como nem",
        "de do da dos das em no na nos nas com sem por pelo pela para pra sobre entre desde até ao aos à",
        "às eu me te lhe muito tão quero queria gostaria posso preciso estou sou",
    ),
    digits=words("zero um uma dois duas três quatro cinco seis meia sete oito nove"),
    letters=words(
        "bê cê dê efe gê agá jota cá ele eme ene pê quê erre esse tê vê xis ípsilon zê traço hífen ponto",
        "dobrado",
    ),
)
