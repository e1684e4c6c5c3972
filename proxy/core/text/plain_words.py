"""Fold a question for the rules on its words: plain words between single blanks."""

import re
import unicodedata

from proxy.core.text.normalize import fold_text, remove_invisible

# Letters without a decomposition, and those that are typed in two ways: of Arabic and Urdu, of
# Russian and Turkish; the nukta and the candrabindu of the Indic scripts, which many leave out;
# traditional characters of words in the rules.
_ONE_SPELLING = str.maketrans(
    {
        **dict(zip("łøđıþßأإآٱىيكةۃهھئؤё", "lodidsااااییکہہہہیوе", strict=True)),
        **dict.fromkeys("\u093c\u09bc\u0640", None),
        "\u0901": "\u0902",
        "\u0981": None,
    }
) | str.maketrans(
    "餘額訂單號碼帳賬戶幾點現時間氣溫價匯從麼樣嗎還裡裏後發貨貴個們請問電話級費會員險約機憑貸積優遞遲達狀態開門關營業剛聞場報預測無錢圖記錄檢驗結為麽給帶簽證賽誰贏據運週歲質車線綫斷網總統國東銷產類買賣確認審過",
    "余额订单号码账账户几点现时间气温价汇从么样吗还里里后发货贵个们请问电话级费会员险约机凭贷积优递迟达状态开门关营业刚闻场报预测无钱图记录检验结为么给带签证赛谁赢据运周岁质车线线断网总统国东销产类买卖确认审过",
)
# One character may be folded into eighteen, so the folded text is cut at this length.
MAX_READ_LENGTH = 2_000
_LATIN_MARKS = re.compile("(?<=[a-z])[\u0300-\u036f]{1,8}")
_ARABIC_MARKS = re.compile("[\u064b-\u0655\u0670]")
# Vowel signs of the Indic scripts are parts of words, which \w does not know.
_NON_WORD = re.compile("[^\\w\u0900-\u0963\u0980-\u09e3]+|_+")
_SENTENCE_END = re.compile("(?<![.!?;。！？｡؟।॥\n])[.!?;。！？｡؟।॥\n]+(?:\\s|$)|[。！？।؟]")


def split_plain_sentences(text: str) -> list[str]:
    """Return the sentences as ` word word `: lower-case, without accents, signs and invisibles.

    Linear in the length.
    """
    return [
        f" {words} "
        for piece in _SENTENCE_END.split(fold_to_plain(text))
        if (words := _NON_WORD.sub(" ", piece).strip())
    ]


def fold_to_plain(text: str) -> str:
    """Return the first `MAX_READ_LENGTH` characters in lower case and one spelling, signs kept."""
    if text.isascii():
        return text[:MAX_READ_LENGTH].lower()
    lower = unicodedata.normalize("NFKC", remove_invisible(text)[:MAX_READ_LENGTH]).casefold()
    bare = _LATIN_MARKS.sub("", unicodedata.normalize("NFD", lower))
    return _ARABIC_MARKS.sub("", unicodedata.normalize("NFC", bare)).translate(_ONE_SPELLING)


def simplify_text(text: str) -> str:
    """Return the first `MAX_READ_LENGTH` characters as seen, lower-case, white space collapsed."""
    # Untrusted text is searched from every position: without runs of blanks, and with every
    # repetition bounded, the rules are linear.
    return " ".join(fold_text(text)[:MAX_READ_LENGTH].lower().split())
