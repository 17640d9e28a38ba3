"""English grammar: closed classes whole, verbs by how common they are in talk."""

from __future__ import annotations

from app.voice.language.model import Grammar, words

_WANTING = words(
    "want wants wanted wanting need needs needed needing like likes liked have having get gets got getting",
    "gotten give gives gave giving given take takes took taking make makes made making put puts putting",
    "send sends sending bring brings brought bringing buy buys buying tell tells told telling ask asks",
    "asked asking say says said saying mean means meant find finds finding use uses used using see sees",
    "seeing try tries tried trying keep keeps keeping let lets letting add adds adding book booking change",
    "changing consider considers considered considering discuss discussing receive receives receiving",
    "return returning update updating replace replacing remove removing explain explaining describe",
    "describing expect expects expected expecting enjoy enjoys become becomes became becoming wonder",
    "wondering",
)
_VERBS = words(
    "hang hanging hung wish accept accepts accepted accepting agree agrees agreed answer answers answered",
    "answering apply applies applied applying arrive arrives arrived arriving begin begins began begun",
    "beginning believe believes believed break breaks broke broken breaking call calls called calling",
    "cancel cancels cancelled canceled cancelling canceling charge charges charged charging check checks",
    "checked checking choose chooses chose chosen choosing close closes closed closing come comes came",
    "coming complain complains complained complaining confirm confirms confirmed confirming connect",
    "connects connected connecting cost costs cut cuts cutting decide decides decided deliver delivers",
    "delivered delivering do does did done doing drive drives drove driven driving drop drops dropped",
    "dropping eat eats ate eaten eating end ends ended ending explain explained fail fails failed failing",
    "fall falls fell fallen falling feel feels felt feeling fill fills filled filling finish finishes",
    "finished finishing fix fixes fixed fixing fly flies flew flying follow follows followed following",
    "forget forgets forgot forgotten found go goes went gone going happen happens happened happening hear",
    "hears heard hearing help helps helped helping hold holds held holding hope hopes hoped hoping keep",
    "kept know knows knew known knowing last lasts lasted learn learns learned leave leaves leaving listen",
    "listens listened listening live lives lived living look looks looked looking lose loses lost losing",
    "love loves loved meet meets met meeting miss missed missing move moves moved moving open opens opened",
    "opening order orders ordered ordering pass passes passed pay pays paid paying pick picks picked",
    "picking play plays played playing press presses pressed pressing promise promised read reads reading",
    "receive received remember remembers remembered remove removed repeat repeats repeated replace",
    "replaced reach reaches reached reaching reset resets return returned run runs ran running schedule",
    "scheduled scheduling sell sells sold selling sent set sets setting show shows showed shown showing",
    "sign signed signing sit sits sat sitting sleep sleeps slept speak speaks spoke spoken speaking spell",
    "spells spelled spelt spend spends spent stand stands stood standing start starts started starting",
    "stay stays stayed staying stop stops stopped stopping talk talks talked talking thank thanked think",
    "thinks thought thinking track tracking tracked transfer transferred transferring travel travels",
    "travelled traveled travelling turn turns turned turning understand understands understood update",
    "updated visit visited visiting wait waits waited waiting wake wakes woke walk walks walked walking",
    "watch watched watching win wins won work works worked working worry worries worried worrying write",
    "writes wrote written writing",
)

_COPULAS = words(
    "am is are was were be been being seem seems seemed isn't aren't wasn't weren't i'm you're we're",
)
_CONTRACTED = words(
    "i'm i'd i'll i've you're you'd you'll you've we're we'd we'll we've they're they'd they'll they've",
    "he's he'd he'll she's she'd she'll it's it'd it'll that's there's there're here's who's what's",
    "where's how's when's let's",
)
_AUXILIARIES = (
    _COPULAS
    | _CONTRACTED
    | words(
        "do does did don't doesn't didn't have has had haven't hasn't hadn't can could can't cannot",
        "couldn't will would won't wouldn't shall should shouldn't may might must mustn't",
    )
)
_QUESTIONS = words("what where when how why who which whose what's where's who's how's when's")
_SUBJECTS = words(
    "i you he she it we they this that these those there who someone somebody everyone nobody",
)
_SUBORDINATORS = words(
    "if when whenever because since unless while although though before after until once whereas whether",
    "as",
)

GRAMMAR = Grammar(
    openers=words(
        "hello hi hey yes yeah yep no nope okay ok well so and but or then also please sorry actually just",
        "right oh ah alright sure good morning afternoon evening now um uh er maybe basically anyway",
    ),
    coordinators=words("and but or so"),
    beginnings=_SUBJECTS | _AUXILIARIES | _QUESTIONS | _SUBORDINATORS,
    subordinators=_SUBORDINATORS,
    relatives=words("that which who whom whose what where when how why"),
    questions=_QUESTIONS,
    object_questions=words("what which who whose how what's who's"),
    subjects=_SUBJECTS,
    only_subjects=words("i he she we they"),
    objects=words("it them this that these those me us you him her one"),
    persons=words("me us you him her them"),
    determiners=words(
        "a an the my your his her its our their this that these those some any no every each another which",
        "whose much many more few several two three first last next new old same other wrong right good",
        "bad",
    ),
    prepositions=words(
        "of to in on at by for with from about into onto over under up down out off through around near",
        "next between without within during before after above below across along behind beside inside",
        "outside past per via like as than until till",
    ),
    particles=words(
        "on off up down in out over through around about along back by before after inside outside",
    ),
    auxiliaries=_AUXILIARIES,
    contracted=_CONTRACTED,
    copulas=_COPULAS,
    wanting=_WANTING,
    verbs=_VERBS,
    negations=words("not never"),
    between=words("not never also just really already still please ever to always only be been have having"),
)
