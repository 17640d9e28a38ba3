"""English, of Britain and North America."""

from __future__ import annotations

from app.engines.digits import TEENS, TENS, TIMES, UNITS
from app.privacy.language.en_cues import CUES
from app.privacy.language.en_names import AFTER_HINTS, COMMON, GIVEN, NOT_NAMES
from app.privacy.language.model import Language


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_MONTHS = (
    "january february march april may june july august september october november december",
    "jan feb mar apr may jun jul aug sept oct nov dec",
)
_ORDINALS = (
    "first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth thirteenth fourteenth"
    " fifteenth sixteenth seventeenth eighteenth nineteenth twentieth"
)
_NATO = (
    "alpha alfa bravo charlie delta echo foxtrot golf hotel india juliet juliett kilo lima mike"
    " november oscar"
    " papa quebec romeo sierra tango uniform victor whiskey yankee zulu"
)
LANGUAGE = Language(
    tag="en",
    digits={**UNITS, "naught": "0", "ought": "0", "owe": "0", "niner": "9", "nil": "0"},
    sounds={"for": "4", "fore": "4", "to": "2", "too": "2", "ate": "8", "won": "1", "tree": "3", "sex": "6",
            "sicks": "6", "fife": "5", "nein": "9", "free": "3", "tu": "2", "hero": "0", "tin": "10"},
    teens=TEENS,
    tens={**TENS, "fourty": "4"},
    times=TIMES,
    scales={"hundred": "00", "thousand": "000", "million": "000000"},
    letters={**{word: word[0] for word in _NATO.split()}, "zed": "z", "zee": "z"},
    fillers=_words(
        """
        uh um er erm ah eh mm hmm hm and dash hyphen slash over then next comma space okay ok yeah yes like
        so
        """
    ),
    corrections=(
        r"(?:(?:no|nope|oops|wait|actually|sorry|correction|rather|hang on|hold on|i mean|make that"
        r"|scratch that"
        r"|i meant|my mistake|excuse me|let me start again|start again|that's wrong|not that|it's"
        r"|uh|um|,|\.|no it's)"
        r"(?: |$)){1,6}"
    ),
    units=_words(
        """
        dollar dollars buck bucks pound pounds quid euro euros cent cents pence penny p percent rupees yen
        francs o'clock am pm minute minutes second seconds hour hours day days week weeks month months year
        years times people persons adults children items pieces boxes bags parcels packages orders cards
        accounts calls emails kilo kilos kilograms grams pounds ounces inches feet foot metres meters miles
        kilometres kilometers litres degrees stars megabits gigabytes megabytes street st road rd avenue ave
        drive lane boulevard court place way nights guests tickets words letters digits north south east
        west main plus point more others years' % € £ $ ° kg mb gb hundred thousand million billion per each
        """
    ),
    before_counts=_words(
        """
        $ £ € about around approximately roughly nearly almost over between page only
        """
    ),
    months={name: number for names in _MONTHS for number, name in enumerate(names.split(), 1)},
    ordinals={
        **{name: number for number, name in enumerate(_ORDINALS.split(), 1)},
        "thirtieth": 30,
    },
    ordinal_ends=_words("st nd rd th"),
    date_words=_words("the of in and day , . / - ' slash dash uh um er year"),
    cues=CUES,
    possessive="(?:'s)?",
    links=_words(
        """
        is are it's it was be being number the that's that this as for would should will : , . - = um uh er
        so yes yeah here okay ok well just like # now probably i think has starts begins with on at in
        number's to got says reads then goes one a moment sorry no my and please
        """
    ),
    answer_words=_words(
        """
        it's it is its the that's that yes yeah yep sure okay ok um uh er erm so well hang on hold right my
        number please sorry no wait then and a one moment here you go i think it's starts begins with
        finally as follows first next last in on , . ... - ready alright thanks thank double check be would
        should of course let me see oh for from i'm got that for it start start's ends
        """
    ),
    at=_words("at @"),
    sign=_words("sign symbol"),
    dot=_words("dot . point period"),
    joins=_words("underscore dash hyphen minus plus _ - + slash"),
    top_domains=_words(
        """
        com co org net edu gov info biz io ai app dev eu uk de ch es mx fr be nl pt br ca au nz jp it ie us
        me tv in se no dk fi pl at cz ru cn za xyz online shop mil int store
        """
    ),
    top_words=_words("in no it me us be at is so to pro live shop store app online"),
    providers=_words(
        """
        gmail googlemail hotmail yahoo outlook icloud aol live msn protonmail proton fastmail gmx comcast
        verizon ymail me mac btinternet sky
        """
    ),
    not_in_address=_words(
        """
        is it's its that's are was be my your his her our their the a an this that to me you us him them at
        on of email mail e address addresses send write use try yes yeah yep sure okay ok so um uh er well
        from via via i'm it i we he she they put down change updated update reach can could would should
        will please no not think call new says in with or by if so here now just have had has then but out
        for into got using under sorry wait what which and spelled look looked looking meet met buy bought
        saw shop shopped work works worked working order ordered ordering found stay stayed checked live
        arrived arrive waiting sitting standing go went am was were , ; : ? ! ( [ "
        """
    ) - {"new"},
    asides=r"all (?:one word|lower ?case|together|lower case)(?: and)?|no (?:space|spaces|dots"
        r"|caps)|one word|lower ?case|"
    r"as in \w+|capital",
    name_cues=(
        r"(?:(?:full|first|last|given|family|middle|second|maiden|married|legal|christian) ?name"
        r"|surname|forename)"
        r"(?:'s| is| was| would be| will be)?(?: (?:is|it's|spelled|spelt))?"
        r"|(?:my|his|her|whose) name(?:'s| is| was| would be)(?: and)?|name's|the name is"
        r"|(?:husband|wife|partner|son|daughter|mother|father|mum|mom|dad|patient|brother|sister"
        r"|friend|boss|manager"
        r"|colleague|customer|caller|neighbour|neighbor|driver|doctor|child|baby|tenant"
        r"|landlord)'s name(?:'s| is| was)"
        r"|(?:under|in) the name(?: of)?|name of (?:the )?(?:account holder|card ?holder) is"
        r"|(?:the )?name on (?:the|my|your|this) (?:card|account|order|booking|passport|bill)(?:'s"
        r"| is| reads| says)"
        r"|(?:account|card|policy) ?holder(?:'s name)? is"
        r"|(?:i'm|am|is) called|they call me|everyone calls me|people call me|you can call me"
        r"|just call me|goes by|i go by"
        r"|(?:speaking|speak|talking|spoke) (?:to|with)"
    ),
    name_hints=r"(?:i'm|i am|this is|it's|it is|you're speaking to|here is|call me|hello|hi|hey"
        r"|thanks|thank you|dear)",
    name_after=r"(?:speaking|here|calling|on the (?:line|phone))",
    name_from=_words("from with at of"),
    not_name_ends=("ing", "ed", "ly", "ful", "ble", "ous"),
    name_asked=(
        r"(?:your|the) (?:\w+ )?(?:name|surname|first name|last name|full name|family name|given name)"
        r"|(?:who|whom) (?:am i|do i have|i am|i'm|is|am|'s)(?: \w+){0,2} (?:speaking|talking"
        r"|calling)(?: (?:to|with))?"
        r"|who's (?:calling|speaking|this)|(?:may|can|could) i (?:ask|have|get"
        r"|take)(?: \w+){0,3} (?:name|surname|calling)"
        r"|how (?:do|should|may|can) i (?:address|call) you|spell (?:that|it|your name"
        r"|your last name|your surname)"
        r"|(?:first|last|full) name|what should i call you|surname"
    ),
    spelled=r"(?:spelled|spelt|spelling(?: is)?|spell it|spell that|that's|it's|is|as in|letters)",
    as_in=_words("for as like in"),
    titles=_words(
        """
        mr mrs ms miss mister missus mx dr doctor professor prof sir madam lady
        """
    ),
    greetings=_words(
        """
        hello hi hey thanks thank you dear welcome morning afternoon evening okay sorry alright lovely
        """
    ),
    given_names=GIVEN,
    not_names=NOT_NAMES | AFTER_HINTS,
    common=COMMON,
    particles=_words(
        """
        de del della di da van von der den la le el al bin ibn san st ter ten dos das du
        """
    ),
)  # fmt: skip
