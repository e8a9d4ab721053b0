"""Chat text in German and English: a vocabulary with Zipf frequencies, sentences, Markdown, and nasty characters."""
import itertools
import math

EN_FUNCTION = """the to a is and of in it for on that this with not be are we you have i but can as was if from at or will
do what so they by just now please an there all has then when no out up about only like here should still would get
one it's don't i'm also need than some more new last next could them their after before which were our my your did
who how why where because into over same too very any other again maybe already today tomorrow yesterday""".split()
EN_WORDS = """thanks check server update meeting build test run fix issue data shift beam report problem working file works
change look see let know think time version problem error log release branch merge review ticket user account password
access link document page question answer idea plan week month morning call team channel message thread deploy staging
production database index query backup restore disk memory network switch firewall cable rack power supply pressure
vacuum magnet cavity detector sample sensor signal noise threshold alarm trip reset restart status monitor dashboard
graph value limit range offset gain phase voltage current temperature cooling water helium nitrogen pump valve leak
interlock safety radiation dose access badge door key room hall building floor office printer laptop screen keyboard
mouse license invoice order delivery parcel customer supplier contract budget cost estimate deadline milestone sprint
backlog story bug feature request priority urgent blocker workaround patch hotfix regression coverage pipeline runner
container image registry cluster node pod service endpoint token secret certificate expired renew proxy cache queue
worker job cron schedule retry timeout latency throughput load balancer replica primary failover snapshot volume mount
permission group owner policy rule filter match pattern regex parser lexer compiler linker library header symbol
function variable pointer buffer stack heap thread mutex lock deadlock race condition signal handler exception trace
debug print output input format encoding unicode string number integer float boolean array list map set tree hash
machine shutdown maintenance window weekend night early late operator crew control console panel button lamp cabinet
tunnel undulator injector linac klystron modulator bunch charge energy orbit steering feedback timing trigger laser
optics mirror lens camera image pixel calibration measurement scan peak width fit residual background simulation model
parameter setting default configuration template script notebook plot figure table chapter section paper draft comment
reviewer editor conference talk slide poster session abstract proposal proposal beamtime experiment proposal visitor
guest seminar lecture student thesis exam lunch coffee cake birthday holiday vacation sick leave parental weather
rain train delay bus bike parking canteen menu vegetarian soup salad fish pizza pasta great good nice fine okay sure
done ready finished waiting pending broken missing wrong correct strange weird slow fast stable unstable possible
impossible necessary available unavailable different similar identical complete partial manual automatic local remote
internal external public private old current previous following main side left right upper lower inner outer start
stop open close read write send receive create delete remove add insert move copy rename edit save load import export
install remove upgrade downgrade enable disable connect disconnect login logout join leave invite follow ignore mention
remember forget ask tell explain describe discuss decide agree disagree confirm cancel postpone repeat continue
improve simplify measure compare calculate estimate verify validate reproduce investigate solve close reopen""".split()
DE_FUNCTION = """die der und ist das in zu nicht ich es wir mit den auf für ein eine auch noch von dem im sich sind so
hat wie an aber als bei da nur dann wenn oder man kann mal habe haben jetzt schon wird aus nach sie er ihr euch uns was
hier heute morgen gestern ja nein doch bitte danke über unter vor bis zum zur vom am mehr sehr gut gerade wieder immer
alle alles etwas nichts jemand wer wo warum weil dass ob muss müssen soll sollte könnte würde wäre war waren gibt""".split()
DE_WORDS = """moin hallo servus grüße kurz frage antwort problem fehler meldung server rechner netz netzwerk leitung kabel
steckdose schrank schaltschrank schalter sicherung strom spannung phase druck vakuum ventil pumpe leck kühlung wasser
helium stickstoff magnet kavität strahl strahlzeit maschine anlage betrieb schicht schichtleiter schichtbuch eintrag
wartung wartungstag störung ausfall neustart abschaltung freigabe zugang schlüssel ausweis tür halle tunnel gebäude
raum büro flur werkstatt lager bestellung rechnung angebot lieferung paket firma vertrag kosten haushalt mittel antrag
frist termin besprechung sitzung protokoll tagesordnung punkt folie vortrag seminar vorlesung prüfung urlaub krank
elternzeit vertretung kollege kollegin chef gruppe abteilung leitung projekt aufgabe ticket priorität dringend wichtig
erledigt fertig offen geschlossen kaputt defekt falsch richtig seltsam komisch langsam schnell stabil instabil möglich
unmöglich nötig verfügbar gleich verschieden vollständig teilweise manuell automatisch lokal entfernt intern extern
öffentlich privat alt neu aktuell vorher nachher links rechts oben unten innen außen anfang ende öffnen schließen lesen
schreiben senden empfangen anlegen löschen entfernen hinzufügen verschieben kopieren umbenennen ändern speichern laden
einspielen ausspielen installieren aktualisieren einschalten ausschalten verbinden trennen anmelden abmelden einladen
erwähnen vergessen fragen sagen erklären beschreiben besprechen entscheiden zustimmen bestätigen absagen verschieben
wiederholen weitermachen verbessern vereinfachen messen vergleichen rechnen schätzen prüfen nachvollziehen untersuchen
lösen datei ordner pfad sicherung wiederherstellung platte speicher datenbank tabelle spalte zeile abfrage ergebnis
wert grenzwert bereich schwelle alarm quittieren zurücksetzen überwachung anzeige kurve verlauf auswertung messung
messreihe eichung abgleich spiegel linse kamera bild probe probenhalter detektor sensor signal rauschen untergrund
anpassung breite höhe länge größe gewicht temperatur feuchte wetter regen sonne schnee zug verspätung fahrrad parkplatz
kantine mittag kaffee kuchen geburtstag feier glückwunsch wochenende feierabend nachtschicht frühschicht spätschicht
bereitschaft rufnummer telefon nachricht kanal faden anhang bildschirm tastatur drucker laptop konto passwort
zertifikat abgelaufen erneuern rechte gruppenrechte richtlinie regel ausnahme genehmigung unterschrift original kopie
entwurf kommentar korrektur absatz kapitel abbildung quelle veröffentlichung gutachter zeitschrift tagung reise
reisekosten hotel flug bahn gast gäste besuch führung schule praktikum ausbildung sommerfest prima super schön toll
genau natürlich vielleicht leider hoffentlich übrigens eigentlich ungefähr mindestens höchstens spätestens""".split()
DE_FIRST = """strahl vakuum magnet kavitäten kühl druck strom netz daten mess prüf schicht wartungs sicherheits zugangs
zeit projekt haushalts personal reise sommer winter nacht tages wochen jahres monats geräte server speicher backup
proben detektor kamera spiegel laser takt ereignis alarm grenzwert tunnel hallen gebäude werkstatt material""".split()
DE_LAST = """lage messung plan bericht liste protokoll anlage steuerung überwachung störung freigabe prüfung abgleich
wechsel ausfall betrieb leitung technik gruppe runde übersicht auswertung anzeige meldung stelle kosten bedarf ablauf
kurve daten werte zugriff fenster ordnung nummer karte kasten""".split()
EMOJI = ["👍", "😀", "🎉", "🙏", "😅", "🚀", "🔥", "👀", "✅", "❌", "⚠️", "🤔", "😂", "☕", "🍰", "👨‍👩‍👧", "🇩🇪", "👋🏽", "❤️"]
EMOJI_NAMES = ["+1", "-1", "smile", "tada", "heart", "eyes", "white_check_mark", "rocket", "joy", "thinking", "wave",
               "coffee", "fire", "pray", "100", "party_parrot", "heavy_check_mark", "disappointed"]
TAGS = ["#keep", "#todo", "#betrieb", "#wartung", "#release", "#störung", "#howto", "#strahlzeit", "#status-2024"]
FIRST_NAMES = """Anna Jürgen Björn Käthe Zoë François Łukasz Søren Ødger Maria Peter Sabine Thomas Heike Jörg Ümit Ayşe Nuñez
Claire Dmitrij Élodie Günther Hans-Peter Ingeborg Jens Katrin Lars Mónica Nadja Oliver Petra Ruth Stefan Tanja Uwe Vera
Wolfgang Xaver Yvonne Zdeněk Andreas Birgit Christian Dörte Ernst Frauke Gerd Helga Imke Jan Kerstin Lutz Meike Nils""".split()
LAST_NAMES = """Müller Schröder Größer Schäfer Özdemir O'Neill Weiß Jäger Köhler Krüger Fuchs Lange Werner Krause Böhm
Lehmann Schulze Maier Köhler Walter König Mayer Huber Kaiser Vogel Stein Jung Hahn Schubert Roth Beck Lorenz Baumann
Franke Albrecht Winter Simon Kraus Martin Graf Schuster Jansen Wolff Voß Sommer Haas Schreiber Dietrich Ziegler Kühn
Engel Horn Busch Bergmann Pohl Sauer Arnold Pfeiffer Wójcik Nováková Ångström García Lindqvist van-der-Berg""".split()
NASTY = ["\t", "\x01", "\x1b[31mrot\x1b[0m", "\u202eabgetrennt\u202c", "\u2028", "\u2029", "\u200b", "\ufeff", "\x7f",
         "\u0085",
         "\\N", "\\.", "\\\\", "'; DROP TABLE posts; --", '"quoted"', "'einfach'", "{{x}}", "%s%n",
         "<script>alert(1)</script>",
         "=cmd|' /C calc'!A0", "\\u0000", "e\u0301\u0323", "\U0001F468\u200d\U0001F469", "\ufffd", "\uffff", "a\rb",
         "\r\n"]


def plain(name):
    """A name as it appears in an account name."""
    table = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "ß": "ss", "ø": "o", "ł": "l", "å": "a", "ş": "s", "é": "e",
                           "è": "e", "ç": "c", "ñ": "n", "ó": "o", "á": "a", "ë": "e", "í": "i", "ě": "e", "'": "",
                           "-": ""})
    text = name.lower().translate(table)
    return "".join(c for c in text if c in "abcdefghijklmnopqrstuvwxyz0123456789")[:40]


def _zipf(function, words):
    """Words with cumulated weights: function words first, then the rest, like running text."""
    seen = dict.fromkeys(function)
    rest = [w for w in dict.fromkeys(words) if w not in seen]
    vocabulary = list(seen) + rest
    weights = [1.0 / (rank + 2.7) for rank in range(len(vocabulary))]
    return vocabulary, list(itertools.accumulate(weights))


class Text:
    """Messages from one random stream; the same stream gives the same messages."""

    def __init__(self, rng):
        self.rng = rng
        compounds = [a + b for a in DE_FIRST for b in DE_LAST]
        suffixed = [w + s for s in ("s", "ing", "ed") for w in EN_WORDS if len(w) > 4]
        rng.shuffle(compounds)
        rng.shuffle(suffixed)
        self.languages = {"de": _zipf(DE_FUNCTION, DE_WORDS + compounds), "en": _zipf(EN_FUNCTION, EN_WORDS + suffixed)}
        self.buffers = {"de": [], "en": []}
        self.median, self.sigma = math.log(43), 1.25

    def words(self, language, count):
        """The next `count` words."""
        buffer = self.buffers[language]
        if len(buffer) < count:
            vocabulary, weights = self.languages[language]
            buffer += self.rng.choices(vocabulary, cum_weights=weights, k=max(8192, count))
        taken = buffer[-count:]
        del buffer[-count:]
        return taken

    def sentences(self, language, count):
        words = self.words(language, count)
        if count < 7:
            return " ".join(words)
        rng, out, at = self.rng, [], 0
        while at < count:
            step = 4 + int(rng.random() * 14)
            part = " ".join(words[at:at + step])
            out.append(part[0].upper() + part[1:] + (". ", "? ", "! ", ".\n",
                    ".\n\n")[min(4, int(rng.random() ** 3 * 5))])
            at += step
        return "".join(out).rstrip()

    def message(self, language, users, tags=None):
        """One message: median about 60 bytes, mean about 120, one of a hundred above 1000."""
        rng = self.rng
        target = rng.lognormvariate(self.median, self.sigma)
        text = self.sentences(language, max(1, min(1500, int(target / 6.2))))
        if tags:
            text += " " + tags
        kind = rng.random()
        if kind > 0.45:
            return text
        return self.adorn(text, kind, language, users)

    def adorn(self, text, kind, language, users):
        rng = self.rng
        if kind < 0.10:
            return f"@{rng.choice(users)} {text}"
        if kind < 0.19:
            return f"{text} {rng.choice(EMOJI)}"
        if kind < 0.25:
            return f"{text} :{rng.choice(EMOJI_NAMES)}:"
        if kind < 0.29:
            first = rng.choice(DE_WORDS)
            return f"{text} https://wiki.example.org/{plain(first)}/{rng.randrange(100000)}?v={rng.randrange(1 << 32):x}"
        if kind < 0.31:
            return f"{text} ACC-{rng.randrange(10000)}"
        if kind < 0.34:
            return f"**{text[:20]}** {text[20:]} _{rng.choice(EN_WORDS)}_ ~~{rng.choice(EN_WORDS)}~~ `{rng.randrange(1 << 20):#x}`"
        if kind < 0.36:
            return text + "\n" + "\n".join(f"- [{'x' if rng.random() < .5 else ' '}] " + self.sentences(language, 5)
                                           for _ in range(1 + rng.randrange(4)))
        if kind < 0.38:
            level = ("INFO", "WARN", "ERROR")
            lines = [f"{rng.randrange(24):02}:{rng.randrange(60):02}:{rng.randrange(60):02}.{rng.randrange(1000):03} "
                     f"{rng.choice(level)} {rng.choice(EN_WORDS)}[{rng.randrange(30000)}]: {' '.join(self.words('en', 5))}"
                     for _ in range(1 + rng.randrange(5))]
            return f"{text}\n```\n" + "\n".join(lines) + "\n```"
        if kind < 0.385:
            return f"{text}\n\n| Kanal | Wert |\n|:--|--:|\n| {rng.choice(DE_FIRST)} | {rng.random() * 1000:.3f} |\n"
        if kind < 0.40:
            return f"> {self.sentences(language, 8)}\n\n{text}"
        if kind < 0.41:
            return f"{text} {rng.choice(NASTY)} {rng.choice(DE_WORDS)}"
        if kind < 0.43:
            return f"~town-square {text} [Anleitung](https://docs.example.org/{rng.randrange(1000)}.html \"Titel\")"
        return f"{rng.choice(EMOJI)}{rng.choice(EMOJI)} {text}"

    def huge(self, kind):
        """65,535 characters, the most the column takes: 0 text, 1 four-byte characters, 2 one line of log text."""
        if kind == 1:
            return ("😀🚀🎉🦊" * 16384)[:65535]
        text = self.sentences("de" if kind == 0 else "en", 13000)
        while len(text) < 65535:
            text += " " + self.sentences("en", 2000)
        return text[:65535] if kind == 0 else text.replace("\n", " ")[:65535]
