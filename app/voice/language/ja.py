"""Japanese, written without spaces: what ends a turn, or goes on, is compared with the end of the text."""

from __future__ import annotations

from app.voice.language.model import LATIN_ENDS, Language, phrases, words

LANGUAGE = Language(
    tag="ja",
    spaced=False,
    sentence_ends=LATIN_ENDS + "。？！｡",
    backchannels=phrases(
        "うん, うんうん, うーん, ううん, はい, はいはい, ええ, ええええ, ああ, あー, あ, へえ, へー, ほう",
        "そう, そうそう, そうですか, そうですね, そうなんですか, そっか, なるほど, なるほどね",
        "わかりました, 分かりました, 了解です, 了解, 確かに, たしかに, ほんとですか, 本当ですか",
        "いいですね, オッケー, オーケー",
    ),
    hesitations=words("えーと えっと ええと えー あのー あの その そのー うーん んー まあ なんか"),
    answers=phrases(
        "はい, はいお願いします, ええ, うん, いいえ, いえ, いや, 違います, ちがいます, そうです",
        "その通りです, 大丈夫です, 結構です, けっこうです, お願いします, わかりません, 分かりません",
        "以上です, ないです, ありません, 多分, たぶん",
    ),
    closings=phrases(
        "です, ます, でした, ました, ません, ですか, ますか, ください, 下さい, お願いします, でしょうか",
        "ですよ, ですね, ありがとうございます, ありがとう, どうも, 失礼します, さようなら, もしもし",
        "すみません, たいです, んです",
    ),
    continuing=words(
        "は が を に の と も へ や で から けど けれど けれども が、 ので のに し て って たら れば なら",
        "ながら そして それで それから でも しかし だから また または",
    )
    - words("が、 も"),
    digits=words(
        "ゼロ れい いち に さん よん し ご ろく なな しち はち きゅう く 〇 一 二 三 四 五 六 七 八 九",
    ),
    letters=words(
        "エー ビー シー ディー イー エフ ジー エイチ アイ ジェー ケー エル エム エヌ オー ピー キュー アール",
        "エス ティー ユー ブイ ダブリュー エックス ワイ ゼット",
    ),
)
