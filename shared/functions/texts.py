"""Owns the words that a person reads, by language and code. A new language is a new table; a test keeps them whole.

Plain words: what happened, and what to do now. No text that came from outside ever goes in.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Text:
    title: str
    body: str


EN: dict[str, Text] = {
    "access_denied": Text(
        "You said no, and that's fine",
        "The app was not given access. Nothing was stored. You can sign in at any time.",
    ),
    "attempt_unknown": Text(
        "This sign-in can't be continued",
        "It was begun in another browser, or so long ago that it is forgotten, or cookies are blocked. "
        "Please start again.",
    ),
    "attempt_expired": Text("That took a little too long", "The sign-in has expired. Please start again."),
    "attempt_spent": Text(
        "This sign-in is already done",
        "The page was opened a second time, for example with the back button. If you are not signed in, start again.",
    ),
    "account_kind_not_allowed": Text(
        "This kind of account can't sign in here", "Please use the kind of account that this app is made for."
    ),
    "account_kind_not_allowed.personal": Text(
        "This kind of account can't sign in here",
        "Only personal Microsoft accounts can. Please sign in with one.",
    ),
    "account_kind_not_allowed.work": Text(
        "This kind of account can't sign in here",
        "Only work and school accounts can. Please sign in with one.",
    ),
    "tenant_not_allowed": Text(
        "Your organization can't sign in here",
        "This app is for another organization. Please use an account of it.",
    ),
    "wrong_account": Text(
        "That was another kind of account",
        "Please sign in with the account that you meant, or pick the other button.",
    ),
    "unknown_account_kind": Text("This link is not right", "It names a kind of account that there isn't."),
    "unknown_flow": Text("This link is not right", "It names a way to sign in that there isn't."),
    "token_flow_not_allowed": Text("This link is not right", "It names a way to sign in that this app doesn't use."),
    "offline_access_not_for_token_flow": Text(
        "This link is not right", "It asks for lasting access in a way that can't give it."
    ),
    "invalid_scope": Text("This link is not right", "It asks for a permission that there isn't."),
    "scope_not_allowed": Text("This link asks for too much", "The app may not ask for one of those permissions."),
    "scope_not_for_account": Text(
        "This account can't give that permission", "It exists for work and school accounts only."
    ),
    "invalid_request": Text("This link is not right", "Something in it can't be read. Please start again in the app."),
    "query_too_long": Text("This link is too long", "Please start again in the app."),
    "form_too_long": Text("That was too much at once", "Please start again in the app."),
    "id_token_refused": Text(
        "We could not be sure who you are",
        "The answer of the sign-in service did not pass a check. Please try again.",
    ),
    "misconfigured": Text(
        "The app is not set up right",
        "This is not your fault. Please tell the people who run it, and give them the reference.",
    ),
    "unavailable": Text(
        "Something that we need is not answering", "Please try again in a few minutes. Nothing was lost."
    ),
    "provider_unavailable": Text(
        "Microsoft's sign-in is not answering", "Please try again in a few minutes. Nothing was lost."
    ),
    "store_unavailable": Text(
        "We can't keep your sign-in right now", "Please try again in a few minutes. Nothing was lost."
    ),
    "grant_expired": Text("Your sign-in has run out", "Please sign in again."),
    "grant_revoked": Text("Your sign-in was withdrawn", "You or your organization ended it. Please sign in again."),
    "consent_revoked": Text(
        "Access was taken back", "The app no longer may use your notebooks. Sign in to allow it again."
    ),
    "sign_in_again": Text("Please sign in again", "Microsoft wants to see you again before the app can go on."),
    "sign_in_frequency": Text("Time to sign in again", "Your organization wants you to sign in from time to time."),
    "password_changed": Text("Your password has changed", "Please sign in again with the new one."),
    "password_expired": Text("Your password has expired", "Set a new one at Microsoft, then sign in again."),
    "mfa_required": Text(
        "One more check is needed", "Your organization asks for a second proof. Please sign in again."
    ),
    "claims_required": Text(
        "One more check is needed", "Your organization asks for another proof. Please sign in again."
    ),
    "device_required": Text(
        "This device is not accepted",
        "Your organization wants a device that it manages. Try from such a device.",
    ),
    "admin_consent_required": Text(
        "Your organization has to agree first", "Ask the people who manage your account to allow this app."
    ),
    "not_assigned": Text(
        "You are not on the list", "Ask the people who manage your account to assign this app to you."
    ),
    "blocked_by_policy": Text(
        "Your organization does not allow this",
        "A rule of your organization blocked it. Its help desk can say more.",
    ),
    "account_disabled": Text("This account is switched off", "Ask the people who manage your account."),
    "account_locked": Text("This account is locked for now", "Wait a while, or ask the people who manage it."),
    "token_flow_expired": Text("Your short sign-in has run out", "Please sign in again."),
    "forbidden_origin": Text("This page may not do that", "The request came from a page that this app does not know."),
    "internal_error": Text(
        "Something went wrong on our side",
        "Please try again. If it stays, tell the people who run it, and give them the reference.",
    ),
}

DE: dict[str, Text] = {
    "access_denied": Text(
        "Sie haben abgelehnt, und das ist in Ordnung",
        "Die App hat keinen Zugriff bekommen. Nichts wurde gespeichert. Sie können sich jederzeit anmelden.",
    ),
    "attempt_unknown": Text(
        "Diese Anmeldung lässt sich nicht fortsetzen",
        "Sie begann in einem anderen Browser oder vor zu langer Zeit, oder Cookies sind gesperrt. "
        "Bitte beginnen Sie noch einmal.",
    ),
    "attempt_expired": Text("Das hat etwas zu lange gedauert", "Die Anmeldung ist abgelaufen. Bitte beginnen Sie neu."),
    "attempt_spent": Text(
        "Diese Anmeldung ist schon erledigt",
        "Die Seite wurde ein zweites Mal geöffnet. Wenn Sie nicht angemeldet sind, beginnen Sie neu.",
    ),
    "account_kind_not_allowed": Text(
        "Diese Art von Konto passt hier nicht",
        "Bitte nehmen Sie die Art von Konto, für die diese App gemacht ist.",
    ),
    "account_kind_not_allowed.personal": Text(
        "Diese Art von Konto passt hier nicht",
        "Nur persönliche Microsoft-Konten können sich anmelden. Bitte nehmen Sie eines davon.",
    ),
    "account_kind_not_allowed.work": Text(
        "Diese Art von Konto passt hier nicht",
        "Nur Geschäfts- und Schulkonten können sich anmelden. Bitte nehmen Sie eines davon.",
    ),
    "tenant_not_allowed": Text(
        "Ihre Organisation passt hier nicht",
        "Diese App ist für eine andere Organisation. Bitte nehmen Sie deren Konto.",
    ),
    "wrong_account": Text("Das war eine andere Art von Konto", "Bitte melden Sie sich mit dem gemeinten Konto an."),
    "unknown_account_kind": Text("Dieser Link stimmt nicht", "Er nennt eine Art von Konto, die es nicht gibt."),
    "unknown_flow": Text("Dieser Link stimmt nicht", "Er nennt eine Art der Anmeldung, die es nicht gibt."),
    "token_flow_not_allowed": Text(
        "Dieser Link stimmt nicht", "Er nennt eine Art der Anmeldung, die diese App nicht nutzt."
    ),
    "offline_access_not_for_token_flow": Text(
        "Dieser Link stimmt nicht", "Er verlangt dauerhaften Zugriff auf einem Weg, der ihn nicht geben kann."
    ),
    "invalid_scope": Text("Dieser Link stimmt nicht", "Er verlangt eine Berechtigung, die es nicht gibt."),
    "scope_not_allowed": Text("Dieser Link verlangt zu viel", "Um eine der Berechtigungen darf die App nicht bitten."),
    "scope_not_for_account": Text(
        "Dieses Konto kann das nicht erlauben", "Die Berechtigung gibt es nur für Geschäfts- und Schulkonten."
    ),
    "invalid_request": Text(
        "Dieser Link stimmt nicht", "Etwas darin ist nicht lesbar. Bitte beginnen Sie in der App neu."
    ),
    "query_too_long": Text("Dieser Link ist zu lang", "Bitte beginnen Sie in der App neu."),
    "form_too_long": Text("Das war zu viel auf einmal", "Bitte beginnen Sie in der App neu."),
    "id_token_refused": Text(
        "Wir konnten nicht sicher sein, wer Sie sind",
        "Die Antwort des Anmeldedienstes hat eine Prüfung nicht bestanden. Bitte versuchen Sie es noch einmal.",
    ),
    "misconfigured": Text(
        "Die App ist nicht richtig eingerichtet",
        "Das liegt nicht an Ihnen. Bitte sagen Sie es den Betreibern und nennen Sie die Nummer.",
    ),
    "unavailable": Text(
        "Etwas, das wir brauchen, antwortet nicht",
        "Bitte versuchen Sie es in ein paar Minuten. Nichts ging verloren.",
    ),
    "provider_unavailable": Text(
        "Die Anmeldung bei Microsoft antwortet nicht",
        "Bitte versuchen Sie es in ein paar Minuten. Nichts ging verloren.",
    ),
    "store_unavailable": Text(
        "Wir können Ihre Anmeldung gerade nicht aufbewahren",
        "Bitte versuchen Sie es in ein paar Minuten. Nichts ging verloren.",
    ),
    "grant_expired": Text("Ihre Anmeldung ist abgelaufen", "Bitte melden Sie sich noch einmal an."),
    "grant_revoked": Text(
        "Ihre Anmeldung wurde zurückgezogen",
        "Sie oder Ihre Organisation haben sie beendet. Bitte neu anmelden.",
    ),
    "consent_revoked": Text(
        "Der Zugriff wurde zurückgenommen",
        "Die App darf Ihre Notizbücher nicht mehr nutzen. Anmelden erlaubt es wieder.",
    ),
    "sign_in_again": Text("Bitte melden Sie sich noch einmal an", "Microsoft möchte Sie vorher noch einmal sehen."),
    "sign_in_frequency": Text(
        "Zeit, sich neu anzumelden", "Ihre Organisation möchte, dass Sie sich von Zeit zu Zeit anmelden."
    ),
    "password_changed": Text("Ihr Kennwort hat sich geändert", "Bitte melden Sie sich mit dem neuen an."),
    "password_expired": Text(
        "Ihr Kennwort ist abgelaufen", "Setzen Sie bei Microsoft ein neues und melden Sie sich dann an."
    ),
    "mfa_required": Text(
        "Noch eine Prüfung ist nötig",
        "Ihre Organisation verlangt einen zweiten Nachweis. Bitte neu anmelden.",
    ),
    "claims_required": Text(
        "Noch eine Prüfung ist nötig",
        "Ihre Organisation verlangt einen weiteren Nachweis. Bitte neu anmelden.",
    ),
    "device_required": Text(
        "Dieses Gerät wird nicht angenommen", "Ihre Organisation verlangt ein Gerät, das sie verwaltet."
    ),
    "admin_consent_required": Text(
        "Ihre Organisation muss erst zustimmen",
        "Bitten Sie die Verwalter Ihres Kontos, diese App zu erlauben.",
    ),
    "not_assigned": Text(
        "Sie stehen nicht auf der Liste", "Bitten Sie die Verwalter Ihres Kontos, Ihnen die App zuzuweisen."
    ),
    "blocked_by_policy": Text(
        "Ihre Organisation erlaubt das nicht",
        "Eine Regel Ihrer Organisation steht dagegen. Deren Hilfe weiß mehr.",
    ),
    "account_disabled": Text("Dieses Konto ist abgeschaltet", "Fragen Sie die Verwalter Ihres Kontos."),
    "account_locked": Text("Dieses Konto ist vorerst gesperrt", "Warten Sie etwas, oder fragen Sie die Verwalter."),
    "token_flow_expired": Text("Ihre kurze Anmeldung ist abgelaufen", "Bitte melden Sie sich noch einmal an."),
    "forbidden_origin": Text(
        "Diese Seite darf das nicht", "Die Anfrage kam von einer Seite, die diese App nicht kennt."
    ),
    "internal_error": Text(
        "Bei uns ist etwas schiefgegangen",
        "Bitte noch einmal versuchen. Bleibt es so, sagen Sie es den Betreibern und nennen Sie die Nummer.",
    ),
}

LABELS: dict[str, dict[str, str]] = {
    "en": {
        "again": "Try again",
        "back": "Back to the app",
        "details": "Details for the people who run this app",
        "code": "Code",
        "ref": "Reference",
        "sign_out_title": "Sign out?",
        "sign_out_body": "Your tokens are deleted here, and you are signed out at Microsoft.",
        "sign_out": "Sign out",
    },
    "de": {
        "again": "Noch einmal versuchen",
        "back": "Zurück zur App",
        "details": "Einzelheiten für die Betreiber dieser App",
        "code": "Code",
        "ref": "Nummer",
        "sign_out_title": "Abmelden?",
        "sign_out_body": "Ihre Token werden hier gelöscht, und Sie werden bei Microsoft abgemeldet.",
        "sign_out": "Abmelden",
    },
}

TEXTS: dict[str, dict[str, Text]] = {"en": EN, "de": DE}


def language_of(accept_language: str) -> str:
    """The first language of an Accept-Language header that there are texts in; English otherwise."""
    for part in accept_language.split(","):
        language = part.split(";")[0].strip().lower().split("-")[0]
        if language in TEXTS:
            return language
    return "en"


def text_for(code: str, language: str, *, only: str | None = None) -> Text:
    """`only` is the one kind of account that may sign in, where it is one: the refusal of another names it."""
    texts = TEXTS[language]
    return texts.get(f"{code}.{only}") or texts.get(code) or texts["internal_error"]
