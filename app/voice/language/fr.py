"""French."""

from __future__ import annotations

from app.voice.language.model import LATIN_ENDS, Language, phrases, words

LANGUAGE = Language(
    tag="fr",
    sentence_ends=LATIN_ENDS,
    backchannels=phrases(
        "mm, mhm, hum, hm, ah, ah bon, ah oui, oh, oui, oui oui, ouais, ok, okay, d'accord, bien",
        "très bien, bien sûr, c'est ça, exactement, tout à fait, voilà, je vois, je comprends, compris",
        "entendu, parfait, c'est vrai, vraiment, effectivement, bon, super, ça marche, pas de problème",
    ),
    hesitations=words("euh heu hum ben bah mm"),
    answers=phrases(
        "oui, oui s'il vous plaît, ouais, non, non merci, si, d'accord, exact, exactement, correct",
        "c'est ça, c'est correct, tout à fait, bien sûr, peut-être, pas vraiment, pas encore, pas du tout",
        "je ne sais pas, je crois que oui, je pense que oui, je ne crois pas, c'est tout, ça sera tout",
        "rien d'autre, parfait",
    ),
    closings=phrases(
        "s'il vous plaît, s'il te plaît, merci, merci beaucoup, merci bien, au revoir, ",
        "bonne journée, bonne soirée, et cetera, quelque chose comme ça",
    ),
    continuing=words(
        "le la les un une des du au aux mon ma mes ton ta tes son sa ses notre nos votre vos leur leurs ce",
        "cet cette ces chaque quelques et ou mais car donc parce que puisque quoique si quand lorsque",
        "comme ni de à en dans par pour sans sous sur chez entre vers depuis pendant jusque jusqu'à je tu",
        "il elle on nous j'ai j'aimerais je me te se ne très trop suis veux voudrais peux dois",
    )
    - words("nous elle si"),
    digits=words("zéro un une deux trois quatre cinq six sept huit neuf"),
    letters=words(
        "bé cé dé effe gé ache ji ka elle emme enne pé cu erre esse té vé ixe zède tiret point accent",
    ),
)
