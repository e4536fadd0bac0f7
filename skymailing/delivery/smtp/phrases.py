"""Phrases with which mail servers explain a refusal, in lowercase and in several languages."""

import re


def _any_of(*phrases: str) -> re.Pattern[str]:
    return re.compile("|".join(phrases))


# The address does not exist, or its mailbox is closed for good.
UNKNOWN_USER = _any_of(
    r"(user|recipient|addressee|mailbox|account|address|alias|host|domain)( name)?( is|:)? "
    r"(unknown|not known|invalid|disabled|inactive)",
    r"(unknown|no such|invalid|nonexistent|non-existent|inactive|disabled) "
    r"(local )?(user|recipient|addressee|mailbox|account|address|person|alias|host|domain)",
    r"unknown (in|to) ",
    r"(user|recipient|mailbox|account|address|domain|host)[^.;]{0,60} "
    r"(does not|doesn't|do not|don't|no longer) exist",
    # The address itself has been removed before matching: "553 sender.example does not exist" is about the
    # sender.
    r"(^|[\s>:;,)\]]\s)does not exist",
    r"(address|recipient) (couldn't|could not|cannot|can't|wasn't|was not) (be )?found",
    r"recipient( name)? is not recognized|recipient email address is possibly incorrect",
    r"invalid final delivery userid|no valid recipients",
    r"(user|recipient|mailbox|account|address|domain|host)[^.;]{0,40} (not found|not exist|unavailable)\b",
    r"recipientnotfound|nosuchuser",
    r"no mailbox (here )?by that name",
    r"(don't|do not|doesn't|does not) have (a|an) .{0,60}account",
    r"(user|account|mailbox)[^.;]{0,40} (has been|is|was) "
    r"(disabled|deactivated|suspended|closed|deleted|discontinued|frozen)",
    r"no longer (valid|available|in use|accepting|with|employed)",
    r"not (a )?(valid|known) (user|recipient|mailbox|address)",
    r"not our customer|unrouteable address|unroutable address|not listed in|undeliverable address",
    r"host or domain name not found|no such (domain|host)|domain not found|name or service not known",
    # German, Dutch, Danish, Swedish
    r"(benutzer|empfänger|adresse|postfach|konto)[^.;]{0,60} (unbekannt|existiert nicht|nicht gefunden)",
    r"unbekannter (benutzer|empfänger)|onbekende gebruiker|bestaat niet|findes ikke|finns inte",
    # French, Spanish, Portuguese, Italian
    r"(utilisateur|destinataire|adresse|boîte|compte)[^.;]{0,60} (inconnue?|n'existe pas|introuvable)",
    r"(usuario|destinatario|dirección|buzón|cuenta)[^.;]{0,60} (desconocid[oa]|no existe|no encontrad[oa])",
    r"(usuário|usuario|destinatário|endereço|caixa)[^.;]{0,60} (desconhecid[oa]|não existe|inexistente)",
    r"(utente|destinatario|indirizzo|casella)[^.;]{0,60} (sconosciut[oa]|non esiste|inesistente)",
    # Russian, Ukrainian, Polish, Czech
    r"(пользовател|получател|адрес|ящик|абонент)[^.;]{0,60} (не существует|не найден|неизвестен|отключ|удал)",
    r"(неизвестный|несуществующий) (пользователь|получатель|адрес)|нет такого (пользователя|адреса|ящика)",
    r"(користувач|адрес)[^.;]{0,60} не існує|nieznany (użytkownik|odbiorca)|nie istnieje|neexistuje",
    # Japanese, Chinese
    r"ユーザーが見つかりません|宛先が見つかりません|存在しません|リストにありません|用户不存在|收件人不存在|邮箱不存在",
)

# The mailbox is full.
FULL_MAILBOX = _any_of(
    r"(mailbox|mail box|inbox|account|user)[^.;]{0,40} (is |was )?(full|over ?quota|out of storage|exceeded)",
    r"over ?quota|quota (is )?exceeded|exceed\w*[^.;]{0,40} quota|insufficient (disk|storage)|disk quota",
    r"postfach (ist )?voll|boîte[^.;]{0,40} pleine|buzón[^.;]{0,40} lleno|casella[^.;]{0,40} piena",
    r"caixa[^.;]{0,40} cheia|(ящик|почта)[^.;]{0,40} (переполнен|заполнен)|skrzynka[^.;]{0,40} pełna",
)

# The address receives too many letters in a short time.
RATE_LIMITED = _any_of(r"receiving mail (too quickly|at a rate)", r"too many (messages|emails) (to|for) this")

# The refusal is about the letter, its sender, our server or its network.
POLICY_REFUSAL = _any_of(
    r"\bspam|\bjunk\b|unsolicited|\bbulk mail|phishing|\bvirus|malware|malicious",
    r"black ?list|block ?list|deny ?list|\brbl\b|dnsbl|spamhaus|barracuda|spamcop|proofpoint",
    r"cloudmark|(?<!not )\blisted (in|by|at)",
    r"\bblocked\b|\bbanned\b|\breputation|\bpolic(y|ies)\b|prohibited|not permitted|not authori[sz]ed",
    r"\bspf\b|\bdkim\b|\bdmarc\b|unauthenticated|authentication|reverse dns|ptr record",
    r"\brdns\b|\b(helo|ehlo)\b(?! handshake)",
    r"(insecure|open) (mail )?relay|not configured to relay|mismatches client ip|mail rejet[eé]",
    r"(after|in reply to) mail from|network not allowed|\(bl\)|unwanted messages",
    r"relay(ing)? (access )?(is )?(denied|not)|unable to relay|\btls\b",
    r"gr[ae]y-?list|rate ?limit|too many (connections|recipients|errors)|throttl",
    r"sender( address| domain)?[^.;]{0,40} (rejected|denied|refused|verif|not found|invalid|unknown)",
    r"sender( address| domain)?[^.;]{0,40} does not",
    r"\byour (smtp |mail |e-?mail )?(account|domain|server|host|ip)( \S{1,80})? (is|was|has|do|does)(n't)?\b",
    r"sender('s|’s)? (address|domain|host|server)|(return|reverse) (address|path|lookup)",
    r"\bsmtp (user |account)|unknown sender|sending (domain|host|server)|relay host",
    r"envelope[ -](from|sender)|from (header|address)\b",
    r"(message|mail|content|size)[^.;]{0,40} (too (large|big)|exceeds? (the )?(size|maximum|limit|fixed))",
    r"exceeds size limit|size limit exceeded|line limit|message size|content (rejected|refused)|bad header",
    r"malformed (message|mail|header|mime|address)",
    r"спам|заблокирован|чёрн(ом|ый) спис|черн(ом|ый) спис|политик|запрещ",
    r"gesperrt|richtlinie|liste noire|bloqué|bloquead[oa]|bloccat[oa]|zablokowan",
)
