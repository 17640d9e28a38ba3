"""Hindi. Postpositions end phrases and the verb ends the sentence."""

from __future__ import annotations

from app.voice.language.model import LATIN_ENDS, Language, phrases, words

LANGUAGE = Language(
    tag="hi",
    sentence_ends=LATIN_ENDS + "।॥",
    backchannels=phrases(
        "हाँ, हां, हाँ हाँ, हां हां, हाँ जी, जी, जी हाँ, जी हां, हूँ, हूं, हम्म, अच्छा, अच्छा अच्छा, ठीक",
        "ठीक है, सही, सही है, बिल्कुल, समझ गया, समझ गई, समझा, ओके, ओह, ओहो, सच, वाह, बढ़िया, haan, haan ji",
        "ji, ji haan, hmm, achha, accha, theek hai, thik hai, sahi hai, ok, okay",
    ),
    hesitations=words("उम अम आ अं उह मतलब हम्म um uh matlab"),
    answers=phrases(
        "हाँ, हां, जी, जी हाँ, जी हां, नहीं, जी नहीं, ना, ठीक है, सही है, सही, गलत, बिल्कुल, ज़रूर, जरूर",
        "शायद, अभी नहीं, पता नहीं, मुझे नहीं पता, मुझे पता नहीं, बस, बस इतना ही, और कुछ नहीं, haan, nahi",
        "nahin, ji haan, ji nahi, theek hai, pata nahi, bas",
    ),
    closings=phrases(
        "धन्यवाद, शुक्रिया, कृपया, प्लीज़, प्लीज, थैंक यू, अलविदा, वगैरह, बजे, है, हैं",
        "हूँ, हूं, था, थी, थे, चाहिए, दीजिए, कीजिए, बताइए, गया, गई, रहा है, रही है, dhanyavaad, shukriya",
        "please, namaste",
    ),
    continuing=words(
        "और या लेकिन मगर पर क्योंकि कि अगर यदि जब तो जबकि ताकि इसलिए एक मेरा मेरी मेरे आपका आपकी आपके उसका",
        "उसकी उसके इसका इसकी का की के को से में ने बहुत मैं aur ya lekin kyunki ki agar jab ek mera meri",
        "mere ka ke ko se mein",
    ),
    digits=words(
        "शून्य ज़ीरो जीरो एक दो तीन चार पाँच पांच छह छः छे सात आठ नौ ek do teen char paanch chhe saat aath",
        "nau",
    ),
    letters=words("ए बी सी डी ई एफ जी एच आई जे के एल एम एन ओ पी क्यू आर एस टी यू वी डब्ल्यू एक्स वाई ज़ेड जेड डबल"),
)
