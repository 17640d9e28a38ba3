"""English: words that say what a number beside them is, the sure ones before those that they contain."""

from __future__ import annotations

from app.privacy.language.model import Cue, Label

_THE = "(?:the|my|your|his|her|our|their|this|that|a|an)"
_NUMBER = "(?:number|no|num|id|identifier|code|digits|#)"
_CARD = (
    "(?:(?:credit|debit|bank|charge|payment|gift) card|card|visa|master ?card|amex|american express|maestro)"
)
_OF_CARD = rf"(?: (?:of|for|on|from) (?:{_THE} )?{_CARD})?"
_REACH = "(?:call|ring|phone|text|reach|get|contact|message|try|whatsapp|dial)"
_ME = "(?:me|him|her|them)"
_CVV = "(?:c v (?:c|v|two|2)|cvv2?|cvc2?|cv2|card verification)"
_BACK = rf"on the (?:back|front|reverse|signature strip)(?: side)?(?: of (?:{_THE} )?{_CARD})?"
_PEOPLE = "(?:(?:wife|husband|partner|son|daughter|mother|father|mum|mom|dad|friend|brother|sister|boss)'s)"
_LINE = (
    "(?:best|good|right|contact|call ?back|phone|telephone|tel|mobile|cell|cell ?phone|home|work"
    "|landline|land line"
    f"|daytime|day time|whatsapp|fax|direct|new|old|other|another|office|house|{_PEOPLE})"
)
_REACHING = r"(?: to (?:reach|call|text|ring|contact)(?: (?:me|you))?(?: back)?)?"

_THINGS = (  # whose numbers are nobody's
    "order|parcel|package|tracking|shipment|shipping|consignment|invoice|reference|ref|ticket|case"
    "|claim|model"
    "|serial|confirmation|booking|reservation|flight|docket|voucher|coupon|promo|room|apartment|flat|suite"
    "|version|extension|zip|postal|complaint|transaction|license plate|meter"
)
_WITH_NUMBER = (  # the same, where "number" stands behind them
    "delivery|part|product|item|error|gate|bus|train|unit|building|house|floor|page|chapter|step"
    "|option|channel"
    "|exit|quote|job|request|store|plate|registration|engine|router|lot|seat|row|episode|season|model|batch"
)
_EXPIRING = (
    "subscription|contract|warranty|guarantee|offer|ticket|visa|membership|policy|lease|voucher"
    "|insurance|plan"
    "|promotion|quote|licen[sc]e|agreement|trial|permit"
)

_OTHER = (
    Cue(Label.OTHER, rf"{_REACH} (?:us|our \w+|customer \w+|support|the (?:helpline|hotline))"),
    Cue(Label.OTHER, r"(?:our|your) (?:customer service|support|office|help ?line|hot ?line)(?: number)?"),
    Cue(
        Label.OTHER,
        r"(?:customer service|customer care|support|help ?line|hot ?line|toll free) (?:number|line)",
    ),
    Cue(Label.OTHER, rf"(?:gift card|{_WITH_NUMBER})s? {_NUMBER}"),
    Cue(
        Label.OTHER,
        rf"(?:{_EXPIRING}) (?:\w+ ){{0,3}}?(?:expir\w+|ends?|valid|good|runs?)(?: (?:in|on|until"
        rf"|till|through))?",
    ),
    Cue(Label.OTHER, rf"(?:{_THINGS})s?(?:'s)?(?: (?:{_NUMBER}|reference|confirmation|key))?"),
    Cue(Label.OTHER, r"(?:meter )?reading|post ?code|bar ?code|amount|balance|total|price|limit|gift card"),
    Cue(
        Label.OTHER,
        r"(?:good|best|better|convenient|what|which) (?:time|day|date)(?=(?: \w+)? (?:to|for|suits"
        r"|works|is)\b)",
    ),
    Cue(
        Label.OTHER,
        r"how (?:many|much|long|often|old|far)|(?:what|which) (?:time|floor|size|year|month|model"
        r"|price|amount"
        r"|quantity|order|page|room)|what year was|when (?:did|will|would|is|was|should|can) "
        r"(?!you born|he born|she born|(?:your|his|her|the) birthday|it expire|(?:the|your) card)\w+",
    ),
)
_OF_CARDS = (
    Cue(
        Label.CODE,
        rf"(?:(?:security|verification|safety) (?:code|number|digits)|{_CVV}(?: (?:code|number))?"
        rf"|(?:last )?(?:three|four|3|4)(?: digit)? (?:digits|numbers|figures|code)|code"
        rf"|digits) (?:(?:is )?{_BACK})",
    ),
    Cue(Label.CODE, rf"{_CVV}(?: (?:code|number))?|last three(?: (?:digits|numbers))?"),
    Cue(Label.CODE, rf"(?:security|verification|three digit) (?:code|number){_OF_CARD}"),
    Cue(
        Label.EXPIRY,
        rf"(?:{_CARD} )?(?:expir(?:y|ation|es|ing|e|ed)|exp|valid (?:until|till|thru|through|to)"
        rf"|good (?:thru|through)|runs out)(?: (?:date|month))?{_OF_CARD}",
    ),
    Cue(
        Label.CARD,
        r"(?:long|sixteen digit|16 digit|big) (?:card )?number(?: across the (?:front"
        r"|middle))?(?: of (?:the|my) card)?",
    ),
    Cue(
        Label.CARD,
        rf"(?:numbers?|digits) (?:(?:is )?on|across)(?: the (?:front|face) (?:of|on))? (?:{_THE} )?{_CARD}",
    ),
    Cue(Label.CARD, rf"{_CARD}(?:'s)?(?: on file)? (?:number|no|num|digits)"),
    Cue(Label.ENDING, rf"(?:{_CARD} )?(?:that )?(?:end(?:s|ing)|finish(?:es|ing))(?: (?:in|with|on))?"),
    Cue(Label.ENDING, r"last (?:four|4)(?: (?:digits|numbers))?(?: (?:of|on|for))?(?: (?:the|it|that))?"),
)
_OF_ACCOUNTS = (
    Cue(Label.IBAN, rf"(?:iban|i ban|i b a n|international bank account)(?: {_NUMBER})?"),
    Cue(
        Label.BANK,
        rf"(?:bank )?(?:sort ?code|routing|aba|transit|bank code|b s b|bsb)(?: routing)?(?: {_NUMBER})?",
    ),
    Cue(
        Label.ACCOUNT,
        rf"(?:(?:bank|checking|savings|current|customer|my|your|the|loyalty) )?(?:account|acct"
        rf"|a c) {_NUMBER}",
    ),
    Cue(
        Label.ACCOUNT,
        r"(?:customer|client|member|membership|subscriber|policy|insurance(?: policy)?|loyalty(?: card)?"
        r"(?: membership)?|membership card|frequent flyer|patient|user|contract|contract account|cardholder)"
        rf" {_NUMBER}",
    ),
    Cue(Label.ACCOUNT, r"(?:checking|savings|current) account"),
    Cue(
        Label.IDENTITY,
        r"(?:social security|social|s s n|ssn|social insurance|national insurance|n i|nhs|n h s"
        r"|medicare|medicaid"
        r"|passport|(?:driver'?s?|drivers|driving) licen[sc]e|tax(?:payer)?(?: id| identification)?"
        r"|national id"
        rf"|identity card|i d card)(?:'s)?(?: {_NUMBER})?",
    ),
    Cue(
        Label.PIN,
        r"(?:(?:four|six) digit )?(?:pin|pin number|pin code|pass ?code|pass ?word|access code|secret code"
        r"|one time (?:code|password|passcode)|verification pin|telephone banking code|security pin)",
    ),
)
_OF_PEOPLE = (
    Cue(
        Label.BIRTH,
        r"(?:date of birth|birth ?dates?|birthdays?|d ?\.? ?o ?\.? ?b ?\.?|born)"
        r"(?: (?:is )?on(?= the| [a-z]+ [a-z0-9]+))?",
    ),
    Cue(Label.PHONE, rf"(?:(?:{_THE} )?{_LINE} ){{1,3}}(?:number|no|num|digits)(?:'s)?{_REACHING}"),
    Cue(
        Label.PHONE,
        r"number (?:to|where|that|i|you|we)(?: (?:i|you|we|can|could))* "
        rf"(?:reach|call|calling|text|ring|contact)(?: {_ME}| you| from| back)*",
    ),
    Cue(
        Label.PHONE,
        r"(?:calling|phoning|ringing|call|rang) from|area code|fax (?:it |them |that )?to|sms(?: to)?",
    ),
    Cue(Label.PHONE, r"(?:what|which|a|another|the) number (?:can|could|should|may|do) (?:we|i|you) \w+"),
    Cue(
        Label.PHONE, r"where (?:can|could|should|may) (?:we|i) (?:call|reach|ring|contact)(?: you)?(?: back)?"
    ),
    Cue(
        Label.PHONE,
        rf"{_REACH} {_ME}(?: back)?(?: (?:at|on|via|under|with))?(?: (?:my|his|her|their) \w+)?",
        weak=True,
    ),
    Cue(Label.PHONE, r"(?:reached|called|contacted) (?:at|on|via|under)|call back(?: on| at)?", weak=True),
    Cue(
        Label.PHONE,
        r"(?:my|your|his|her) (?:number|digits|phone|mobile|cell|cell ?phone|landline|telephone|line)",
        weak=True,
    ),
    Cue(Label.PHONE, r"phone|mobile|cell|landline|telephone|contact", weak=True),
    Cue(Label.PHONE, _REACH, weak=True),
    Cue(Label.EMAIL, r"(?:e ?mail|mail)(?:'s)?(?: address)?"),
    Cue(
        Label.NAME,
        r"(?:(?:first|last|full|given|family|middle|maiden|your|my|the|sur) ?names?|surname|spell)",
    ),
)
_REST = (
    Cue(
        Label.NOTHING,
        rf"(?:on|of|for|from|to|with|by|into|in|off) {_THE} (?:\w+ )?(?:card|account|order|phone)(?! number)",
    ),
    Cue(Label.CARD, _CARD, weak=True),
    Cue(Label.ACCOUNT, r"(?:the |my |your )?(?:account|acct|policy|customer|membership)", weak=True),
)
CUES = (*_OTHER, *_OF_CARDS, *_OF_ACCOUNTS, *_OF_PEOPLE, *_REST)
