"""Phrases that count against a letter.

The English ones are rules of SpamAssassin 4.0.1, by their names, that add at least 0.5 points of the 5 that
mark a letter as spam (`20_phrases.cf`, `20_head_tests.cf`, `20_drugs.cf`). No public filter has rules for
Russian: those phrases are the same claims in Russian.
"""

import re


def _compile(patterns: dict[str, str]) -> dict[str, re.Pattern[str]]:
    return {name: re.compile(pattern, re.IGNORECASE) for name, pattern in patterns.items()}


IN_TEXT = _compile(
    {
        "GUARANTEED_100_PERCENT": r"100% guaranteed",
        "MONEY_BACK": r"\bmoney back guarantee",
        "DEAR_WINNER": r"\bdear.{1,20}winner",
        "DEAR_FRIEND": r"^\s*dear friend\b",
        "URG_BIZ": (
            r"\burgent.{0,16}"
            r"(?:assistance|business|buy|confidential|notice|proposal|reply|request|response)"
        ),
        "BILLION_DOLLARS": r"\b(?-i:[BM]ILLION DOLLAR)",
        "ONLINE_PHARMACY": r"\bonline pharmacy|\b(?:drugs|medications) online",
        "NO_PRESCRIPTION": r"\bno prescription.{1,10}(?:needed|required?|necessary)",
        "DRUGS_ERECTILE": r"\b(?:viagra|cialis|levitra)\b",
        "REPLICA_WATCH": r"\breplica.{1,20}rolex",
        "EXCUSE_REMOVE": r"\bto be removed from.{0,20}(?:mailings|offers)",
        "guarantee": r"\b100\s?% гаранти|\bгаранти\w* (?:на )?100\s?%",
        "easy money": (
            r"\b(?:заработ\w+|доход\w*) без вложений"
            r"|\b(?:лёгки\w+|легки\w+|быстры\w+) (?:деньг\w+|заработ\w+)"
        ),
        "prize": r"\bпоздравля\w+,? вы (?:выиграли|стали победител)",
        "medicine": r"\b(?:виагр|сиалис|левитр)\w{0,3}\b",
        "casino": r"\b(?:онлайн|интернет)[ -]казино\b",
        "diploma": r"\bкупить диплом|\bдиплом\w* на заказ\b",
        "loan": r"\b(?:кредит|займ|заём)\w* без (?:отказа|проверк)",
    }
)
IN_SUBJECT = _compile(
    {
        "SUBJ_YOUR_FAMILY": r"your family",
        "SUBJ_AS_SEEN": r"\bas seen",
        "SUBJ_BUY": r"^buy\b",
        "SUBJECT_DIET": r"\blose .{0,100}(?:pounds|lbs|weight)",
    }
)


def find_phrases(subject: str, text: str) -> list[str]:
    """Return the phrases that count against a letter, as written in it."""
    places = [(IN_TEXT, subject), (IN_SUBJECT, subject), (IN_TEXT, text)]
    found = (rule.search(place) for rules, place in places for rule in rules.values())
    return list(dict.fromkeys(" ".join(match[0].split()) for match in found if match))
