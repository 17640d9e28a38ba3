"""English."""

from __future__ import annotations

from app.voice.language.en_grammar import GRAMMAR
from app.voice.language.model import LATIN_ENDS, Language, phrases, words

LANGUAGE = Language(
    tag="en",
    sentence_ends=LATIN_ENDS,
    backchannels=phrases(
        "mm, mhm, mm-hmm, mmhm, mmm, hm, hmm, uh-huh, uhuh, aha, ah, oh, ooh, yeah, yep, yup, yes, ya, aye",
        "right, all right, alright, okay, ok, sure, fine, good, great, cool, nice, wow, really, indeed",
        "true, exactly, absolutely, definitely, of course, sure thing, got it, gotcha, i see, i know",
        "i understand, understood, that's right, that's true, that's fine, makes sense, fair enough",
        "sounds good, very good, oh okay, oh i see, oh right, no problem, no worries, go on, oh yeah",
        "oh really, oh wow, for sure",
    ),
    hesitations=words("um umm uhm uh uhh er err erm ah eh hmm hm mm mmm"),
    answers=phrases(
        "yes, yeah, yep, yup, no, nope, nah, sure, okay, ok, correct, incorrect, right, wrong, exactly",
        "maybe, absolutely, definitely, certainly, of course, of course not, not really, not at all",
        "not yet, i do, i don't, i did, i didn't, i am, i'm not, i have, i haven't, it is, it isn't",
        "it's not, it does, it doesn't, that is correct, that's correct, that's right, that's wrong",
        "that's it, that's all, that's fine, i think so, i guess so, i don't think so, i hope so",
        "i'm not sure, i don't know, not sure, yes it is, yes i do, no i don't, yes i am, no i'm not",
        "yes that's right, all right, alright, no that's it, no that's all, sounds good, nothing else",
        "never mind, all of them, none, both, neither",
    ),
    closings=phrases(
        "please, thanks, thank you, thanks a lot, thank you very much, cheers, bye, goodbye, bye bye",
        "good night, o'clock, have a nice day",
        "and so on, or something, or something like that, or whatever, right away, as well, too, though",
        "anyway, anymore, you know what i mean, if you don't mind, if possible, if that's okay",
        "as soon as possible",
    ),
    continuing=words(
        # articles, determiners that wait for their noun, and possessives
        "a an the my your our their its every each",
        # conjunctions and subordinators
        "and or but nor because cause although unless until whereas whether if while since than",
        # auxiliaries run together with their subject, and contractions that wait for a verb
        "i'm i'd i'll i've you're you'd you'll you've we're we'd we'll we've they're they'd they'll",
        "they've he'd he'll she'd she'll it'll it'd there's there're that'll who's what's where's how's",
        "let's gonna wanna gotta",
        # prepositions that are not left behind at the end, and adverbs of degree
        "into onto upon during despite between among towards toward via per versus against beyond very",
        "quite rather extremely fairly",
    ),
    light=words(
        "i you he she we they it me him her us them that this is am are was were be been do does did can",
        "could will would shall should may might must have has had to of in on at for from by with as so",
    ),
    digits=words("zero oh o nought one two three four five six seven eight nine"),
    letters=words(
        "alpha alfa bravo charlie delta echo foxtrot golf hotel india juliet juliett kilo lima mike",
        "november oscar papa quebec romeo sierra tango uniform victor whiskey whisky xray yankee zulu adam",
        "apple able baker boy bob cat dog david edward easy frank fox george henry harry ida john king",
        "lincoln larry love mary mother nancy nora ocean paul peter queen robert roger sam sugar thomas",
        "tom union uncle victoria william young zebra ay bee cee see dee ee eff gee aitch haitch jay kay",
        "el em en pee cue queue ar are ess tee tea you yu vee ex why zee zed dash hyphen dot double",
        "underscore capital",
    ),
    grammar=GRAMMAR,
)
