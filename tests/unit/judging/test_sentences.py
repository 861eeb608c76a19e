"""What is left of a text that was cut: its whole sentences, in every language alike."""

import pytest

from wim.judging.overlap import overlap
from wim.judging.parse import read_critique
from wim.judging.phrases.match import KnownPhrases
from wim.judging.sentences import whole_part
from wim.tables.ratings import Status


@pytest.mark.parametrize(
    ("whole", "begun"),
    [
        ("The year is missing.", " It also does not"),
        ("缺少年份。", "它也没有说"),
        ("缺少年份！", "它也没有说"),
        ("答案没有说“哪一年？”", "也没有"),
        ("年が書かれていません。", "それに場所も書か"),
        ("「いつ」が書かれていません｡", "それに場所"),
        ("उत्तर में वर्ष नहीं है।", " और यह भी"),
        ("لا يذكر الجواب السنة.", " كما أنه لا"),
        ("ما السنة؟", " كما أنه لا يذكر"),
        ("سال نہیں ہے۔", " اور یہ بھی"),
        ("คำตอบไม่ได้ระบุปีที่ประดิษฐ์", " และไม่ได้บอกว่าใครเป็น"),
        ("ຄໍາຕອບບໍ່ໄດ້ບອກປີ", " ແລະບໍ່ໄດ້"),
        ("연도가 빠져 있습니다.", " 또한 누가"),
        ("Год не указан.", " Также не сказ"),
        ("Falta el año.", " ¿Y la fecha"),
        ("¿Cuándo fue?", " ¿Y dón"),
        ("Տարին չկա։", " Եվ"),
        ("ዓመት የለም።", " እና"),
        ("မရှိပါ။", " နောက်"),
        ("ក្នុងនេះមិនមានឆ្នាំ។", " ហើយ"),
        ("**The year is missing.**", " The na"),
        ("The year is missing.[1]", " And so"),
        ("- The year is missing.", "\n- The na"),
        ("It names http://a.org/?page=2 as the only source.", " It a"),
        ("A book by J. R. R. Tolkien is missing.", " An"),
    ],
)
def test_a_text_that_is_cut_keeps_its_whole_sentences(whole, begun) -> None:
    assert whole_part(whole + begun) == whole


@pytest.mark.parametrize(
    "text",
    [
        "缺少印刷机发明的",
        "年が書かれて",
        "उत्तर में वर्ष",
        "لا يذكر الجواب",
        "คำตอบไม่ได้ระบุปีที่ประดิษฐ์ 1450 และ",
        "คำตอบไม่ได้ระบุ",
        "Es fehlen Quellen, z. B. ein Buch",
        "It cites approx. five sources",
        "It names http://a.org/?page=2 as",
        "It lacks the words สวัสดี ครับ and",
        "1. 缺少",
        "१. वर्ष",
    ],
)
def test_a_text_without_a_whole_sentence_has_no_whole_part(text) -> None:
    assert whole_part(text) == ""


def test_a_cut_critique_is_usable_in_chinese_as_in_english() -> None:
    phrases = KnownPhrases("Nothing is missing")
    for text, kept in (
        ("The year is missing. It also does not", "The year is missing."),
        ("缺少印刷机发明的年份。它也没有说", "缺少印刷机发明的年份。"),
    ):
        assert read_critique(text, False, phrases, [], 0.8) == (Status.OK, kept)


def test_words_of_languages_without_spaces_are_compared_by_letters() -> None:
    response = "印刷机使书籍变得便宜，因此更多的人学会了阅读，新思想迅速传播。"
    assert overlap("印刷机使书籍变得便宜", response) == 1.0
    assert overlap("回答没有提到印刷机发明的年份", response) < 0.3
    assert overlap("मुद्रण यंत्र ने किताबें सस्ती", "मुद्रण यंत्र ने किताबें सस्ती कीं") == 1.0
