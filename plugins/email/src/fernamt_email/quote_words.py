"""What mail programs write above quoted words, below a forwarded mail's end, and as a signature, language by language."""

from __future__ import annotations

import re
from typing import Final

_WROTE: Final = (
    r"schrieb(?:en)?|geschrieben|wrote|écrit|a écrit|escribió|escribio|ha scritto|scrisse|schreef|geschreven"
    r"|napisał(?:a|\(a\)|/a)?|pisze|escreveu|skrev|skreiv|kirjoitti|yazdı|şunu yazdı|şunları yazdı|написал(?:а|\(а\))?|пишет"
    r"|написав(?:ла)?|пише|napsal(?:a|\(a\))?|napísal(?:a|\(a\))?|írta|a scris|έγραψε|написа|je napisao(?:/la)?|je napisala?"
    r"|je napisal(?:/a)?|kirjutas|rakstīja|rašė|viết|menulis|schreibt|écrivait|写道|寫道|さんは書きました|のメール|작성"
)
_BEFORE: Final = r"(?:[-–—*_\s]{0,6})"
ATTRIBUTION: Final = re.compile(
    rf"""{_BEFORE}(?:
        (?=.{{0,300}}?(?:\d|@|<))[^\n]{{0,300}}?(?<!\w)(?:{_WROTE})(?!\w)[^\n]{{0,250}}?[:\uff1a][\s*]{{0,3}}
      | (?:Zitat\ von|Quoting|Citando|Citat\ från|Citerar)\ .{{1,200}}:
      | .{{0,60}}\d{{4}}[年년]\s?\d{{1,2}}[月월].{{1,150}}[:\uff1a]
      | \d{{4}}[-./]\d{{1,2}}[-./]\d{{1,2}}\s.{{0,60}}\d{{1,2}}:\d{{2}}.{{0,80}}<[^<>@\s]+@[^<>\s]+>:
      | (?:Am|On|Le|El|Il|Op|W|Dnia|Em|Den|Den\ |Dne|Dňa)\s.{{0,80}}\d{{1,2}}:\d{{2}}.{{0,80}}<[^<>@\s]+@[^<>\s]+>\s?:
    )\Z""",
    re.VERBOSE | re.IGNORECASE,
)
"""A line, or some lines put together, above quoted words."""

ATTRIBUTION_START: Final = re.compile(
    r"[-–—*_\s]{0,6}(?:Am|On|Le|El|Il(?: giorno)?|Op|W dniu|Dnia|Den|Em|A|På|Dne|Dňa|Στις|Pada|Vào|Kl|Zitat|Quoting|Em|No dia|Dia"
    r"|\d{1,4}[-./年 ])(?![^\W\d_])",
    re.IGNORECASE,
)
"""How a head begins, in a line of its own."""

_ORIGINALS: Final = (
    r"Urspr(?:ü|ue)ngliche (?:Nachricht|E-?Mail)|Original[- ]?(?:Nachricht|Mail|Message|Appointment)|Original Message"
    r"|Originalnachricht|Antwort auf|Message d['’]origine|Message original|Mensaje original|Mensagem [Oo]riginal"
    r"|Messaggio originale|Oorspronkelijk [Bb]ericht|Oryginalna wiadomość|Wiadomość oryginalna|Ursprungligt meddelande"
    r"|Originalmeddelande|Oprindelig meddelelse|Opprinnelig melding|Original besked|Alkuperäinen viesti|Orijinal [Mm]esaj"
    r"|Özgün İleti|Исходное сообщение|Původní zpráva|Pôvodná správa|Eredeti üzenet|Mesaj original|Αρχικό μήνυμα"
    r"|Originalna poruka|Izvirno sporočilo|原始邮件|原始郵件|元のメッセージ|원본 메시지|Reply [Mm]essage|Nachricht"
)
ORIGINAL: Final = re.compile(rf"[ \t*>]{{0,5}}[-_]{{2,}}[ ]?\s*(?:{_ORIGINALS})\s*[ ]?[-_]{{2,}}", re.IGNORECASE)
FORWARDED: Final = re.compile(
    r"[ \t*]{0,5}(?:[-_]{2,}\s*(?:Weitergeleitete (?:Nachricht|Mail|E-?Mail)|Forwarded (?:[Mm]essage|by .{1,60}|[Mm]ail)"
    r"|Message transféré|Message réexpédié|Mensaje reenviado|Mensagem encaminhada|Messaggio inoltrato|Doorgestuurd bericht"
    r"|Przekazana wiadomość|Wiadomość przekazana dalej|Vidarebefordrat meddelande|Videresendt (?:meddelelse|besked|melding)"
    r"|İletilen ileti|Yönlendirilen ileti|Пересылаемое сообщение|Пересланное сообщение|Předaná zpráva|Välitetty viesti"
    r"|Továbbított üzenet|转发的邮件|転送メッセージ)[^\n]{0,60}"
    r"|(?:Anfang der weitergeleiteten (?:Nachricht|E-?Mail)|Begin forwarded message|Début du message (?:transféré|réexpédié)"
    r"|Inicio del mensaje reenviado|Inizio messaggio inoltrato|Begin doorgestuurd bericht|Início da mensagem (?:reencaminhada|encaminhada)"
    r"|Vidarebefordrat brev|Videresendt besked|Początek przekazywanej wiadomości|Начало переадресованного сообщения)\s*:?)\s*\Z",
    re.IGNORECASE,
)
FORWARDING_SUBJECT: Final = re.compile(
    r"\s*(?:\[[^\]]{1,40}\]\s*)?(?:WG|WTR|FW|FWD|TR|RV|ENC|I|PD|VB|VS|VL|Doorst|İLT|ILT|YNT İLT|Пересл|HA|Továbbítás)\s*:",
    re.IGNORECASE,
)

_KEYS: Final = {
    "from": "von from de da van od fra från kimden gönderen от кого lähettäjä feladó από от: expéditeur mittente afzender nadawca"
            " remetente remitente absender avsändare avsender afsender отправитель odesílatel 发件人 寄件者 差出人 보낸사람 nga",
    "sent": "gesendet sent envoyé enviado inviato verzonden wysłano wyslano skickat sendt gönderilen gönderildi отправлено date datum fecha"
            " data dato дата tarih päiväys lähetetty elküldve dátum odesláno odoslané στάλθηκε ημερομηνία enviada 发送时间 日期 日時 送信日時 보낸날짜",
    "to": "an to à para a aan do till til kime alıcı кому vastaanottaja címzett komu προς empfänger destinataire destinatario"
          " destinatário 收件人 宛先 받는사람 pro a:",
    "subject": "betreff subject objet asunto oggetto onderwerp temat assunto ämne emne konu тема aihe tárgy předmět predmet θέμα"
               " betr 主题 主旨 件名 제목 subiect",
    "cc": "cc kopie copie copia kopia kopio bilgi копия dw 抄送 bcc",
}  # fmt: skip
HEADER_KEYS: Final = {
    **{word: kind for kind, words in _KEYS.items() for word in words.split(" ") if word},
    **dict.fromkeys(("de la", "від", "šalje"), "from"),
    **dict.fromkeys(
        (
            "enviado el",
            "gesendet am",
            "datum und uhrzeit",
            "sent at",
            "date d'envoi",
            "verzonden op",
            "trimis",
            "надіслано",
            "poslano",
            "날짜",
        ),
        "sent",
    ),
    **dict.fromkeys(("către", "catre", "prima", "za"), "to"),
    "zadeva": "subject",
    "antwort an": "reply",
    "reply to": "reply",
    "gönderme tarihi": "sent",
    "보낸 사람": "from",
    "보낸 날짜": "sent",
    "받는 사람": "to",
    "wichtigkeit": "importance",
    "importance": "importance",
    "priorität": "importance",
}
"""The names of header fields above an unmarked quote, in small letters, and which they are."""

INLINE: Final = re.compile(
    r"(?i)\b(?:in[- ]?line|(?:siehe|s\.) (?:bitte )?(?:weiter |direkt )?unten|(?:antwort(?:en)?|anmerkung(?:en)?|kommentare?|ergänzung(?:en)?)\b.{0,40}"
    r"(?:unten|im text|zwischen|darunter|dahinter|(?:in|auf) (?:rot|blau|grün|fett))|unten.{0,30}(?:beantwortet|ergänzt|eingefügt|geantwortet)"
    r"|in (?:rot|blau|grün).{0,30}(?:schrift|antwort|anmerkung|kommentar)|in (?:red|blue|green).{0,30}(?:answer|comment|repl)|(?:see|find) (?:my )?(?:answers?|comments?|repl(?:y|ies)|responses?|notes?)?\b.{0,20}below"
    r"|(?:answer(?:s|ed)?|comments?|repl(?:y|ies|ied)|responses?|responded)\b.{0,30}(?:below|in (?:red|blue|green|bold|caps)))"
)
"""How somebody says that their answers stand within the quoted words."""
POSTSCRIPT: Final = re.compile(r"(?i)(?:p\.? ?s\.?|p\.? ?p\.? ?s\.?|nachtrag|postskriptum)[ :.,]")

RULE: Final = re.compile(r"[ \t]{0,3}[_\-=*\u2500\u2014\u2013]{3,200}[ \t]*\Z")
SIGNATURE: Final = "--"
MOBILE: Final = re.compile(
    r"[ \t]{0,5}[\[(*_]{0,2}(?:"
    r"(?:Diese (?:Nachricht|E-?Mail|Mail) wurde )?(?:Von|Mit|Über) (?:mein(?:em|er)|dem) [\w .,'’()+-]{1,60}(?:gesendet|geschrieben|verschickt)"
    r"|Diese (?:Nachricht|E-?Mail|Mail) wurde (?:von|mit) [\w .,'’()+-]{1,80}gesendet"
    r"|(?:Von|Via|Gesendet (?:von|mit|mittels|über|via)|Versendet (?:mit|von)|Geschrieben (?:mit|auf)) (?:mein(?:em|er)|iPhone|iPad|Android|Outlook|Yahoo|"
    r"Samsung|Mobile|Mail|WEB\.DE|GMX|der|dem|Telekom|T-Mobile|Huawei|Proton)[^\n]{0,80}"
    r"|Von Samsung[^\n]{0,60}gesendet|Holen Sie sich Outlook|Outlook für (?:iOS|Android)[^\n]{0,80}|Outlook for (?:iOS|Android)[^\n]{0,80}"
    r"|(?:Sent|Send) (?:from|via|with|by|using) (?:my|the|Mail|Outlook|Yahoo|Samsung|Proton|iPhone|iPad|a |Gmail|BlackBerry|Windows)[^\n]{0,100}"
    r"|Get Outlook for [^\n]{1,80}|Get (?:BlueMail|TypeApp)[^\n]{0,60}"
    r"|Envoyé (?:de(?:puis)?|à partir de|avec) [^\n]{1,60}|Enviado (?:desde|do|a partir do|con|com) [^\n]{1,60}"
    r"|Obtenir Outlook pour[^\n]{1,60}|Obtener Outlook para[^\n]{1,60}|Obter o Outlook para[^\n]{1,60}"
    r"|Inviato da(?:l|lla)? [^\n]{1,60}|Verzonden (?:vanaf|met|vanuit|via) [^\n]{1,60}|Verstuurd vanaf [^\n]{1,60}"
    r"|Wysłan[eoy] (?:z|za pomocą) [^\n]{1,60}|Skickat från [^\n]{1,60}|Sendt fra [^\n]{1,60}|Lähetetty [^\n]{1,60}"
    r"|[^\n]{1,30}['’](?:dan|den|tan|ten|ımdan|umdan) gönderildi|iPhone'umdan gönderildi|[^\n]{1,30}imden gönderildi"
    r"|Отправлено (?:с|из) [^\n]{1,60}|Odesláno z [^\n]{1,60}|Odoslané z [^\n]{1,60}|Trimis de pe [^\n]{1,60}"
    r"|iPhoneから送信|发自我的[^\n]{1,20}|나의 [^\n]{1,20}에서 보냄"
    r")[\])*_.! \t\xa0<>\w:/?=&%#-]{0,120}\Z",
    re.IGNORECASE,
)
