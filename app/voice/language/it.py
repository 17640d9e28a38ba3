"""Italian."""

from __future__ import annotations

from app.voice.language.model import LATIN_ENDS, Language, phrases, words

LANGUAGE = Language(
    tag="it",
    sentence_ends=LATIN_ENDS,
    backchannels=phrases(
        "mm, mhm, ah, ah sì, ah ok, eh, oh, sì, sì sì, certo, certamente, esatto, esattamente, giusto",
        "va bene, bene, molto bene, benissimo, ok, okay, d'accordo, capisco, ho capito, capito, perfetto",
        "davvero, vero, infatti, appunto, ecco, bello, già",
    ),
    hesitations=words("eh ehm em uhm mm mah beh allora cioè"),
    answers=phrases(
        "sì, sì grazie, sì per favore, no, no grazie, certo, esatto, giusto, corretto, sbagliato, va bene",
        "d'accordo, forse, non ancora, non lo so, non so, credo di sì, credo di no, penso di sì, è tutto",
        "nient'altro, basta così, perfetto, nessuno",
    ),
    closings=phrases(
        "per favore, per piacere, grazie, grazie mille, arrivederci, ciao, ",
        "buona giornata, eccetera, o qualcosa del genere",
    ),
    continuing=words(
        "il lo la i gli le un uno una mio mia miei mie tuo tua suo sua nostro nostra ogni e ed o oppure ma",
        "però perché anche se quando mentre che come né quindi di a da in con su per tra fra del dello",
        "della dei degli delle al allo alla ai agli alle dal dalla nel nella nei nelle sul sulla io mi ti",
        "si ci ho vorrei voglio devo posso molto sono",
    )
    - words("anche la mia tua sua mio tuo suo però perché"),
    digits=words("zero uno una due tre quattro cinque sei sette otto nove"),
    letters=words(
        "ancona bologna como domodossola empoli firenze genova hotel imola jolly kursaal livorno milano",
        "napoli otranto palermo quarto roma savona torino udine venezia washington xilofono york zara bi",
        "ci di effe gi acca elle emme enne pi cu erre esse ti vu ics ipsilon zeta trattino punto doppia",
    ),
)
