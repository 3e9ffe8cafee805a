"""Job titles to seniority and department: ordered patterns in several languages, the first that fits wins.

Traps come first: the assistant to the CEO is no CEO, a product owner owns no company, an account executive
is none.
"""

import re
import unicodedata
from functools import lru_cache
from typing import Literal

Seniority = Literal[
    "student", "intern", "former", "assistant", "founder", "c_level", "vp", "director", "manager", "senior",
    "junior", "specialist",
]  # fmt: skip
Department = Literal[
    "executive", "procurement", "human_resources", "marketing", "sales", "finance", "legal", "product",
    "engineering", "it", "operations", "customer_service", "education",
]  # fmt: skip

# Patterns see the title casefolded, without accents and punctuation, words separated by one space.
_CHIEF = r"c(?:e|t|f|o|m|i|p|r|d|s|x)o|ciso|chro|cco|cao"
_TOP = (
    rf"(?:{_CHIEF}|chief|president|presidente?|chairman|geschaftsfuhrer\w*|geschaftsleitung|vorstand\w*"
    r"|direct\w+)"
)
_AIDE = r"(?:pa|ea|assist\w+|asist\w+|adjoint\w*|support)"
_SENIORITY: tuple[tuple[str, Seniority], ...] = (
    (r"\b(?:werk)?student\w*|\betudiant\w*|\bestudiante\b|\bstudentessa\b|\bphd candidate\b", "student"),
    (r"\bdoktorand\w*|\bschuler(?:in)?\b|\bundergraduate\b|\bpupil\b", "student"),
    (r"\bintern(?:ship)?\b|\bpraktikant\w*|\bstagiaire\b|\bbecari[oa]\b|\btirocinante\b", "intern"),
    (r"\bstagista\b", "intern"),
    (r"\btrainee\b|\bapprentice?\b|\bapprenti\w*|\bauszubildende\w*|\bazubi\b|\balternante?\b", "intern"),
    (r"\b(?:former|formerly|ex|retired|ehemalige[rs]?|retraite|jubilado|ancien(?:ne)?)\b", "former"),
    # An assistant vice president or director is a rank of its own, no assistant.
    (r"\bassistant (?:vice president|vp|director|general manager|dean|treasurer|controller)\b", "manager"),
    (r"\bassistant (?:manager|professor|buyer)\b", "specialist"),
    (r"\bsecretary general\b|\bgeneral secretary\b|\bsecretaire general\w*", "c_level"),
    (r"\bstaatssekretar\w*|\bcompany secretary\b|\bcorporate secretary\b", "director"),
    (rf"\b{_AIDE} (?:to|of|for|der|des|de|du|del|della|al) .*\b{_TOP}", "assistant"),
    (r"\b(?:executive|personal|administrative|management|office|team|vorstands) ?assist\w+", "assistant"),
    (r"\bassist\w+\b|\basistente?\b|\basistenta\b|\w+assistent(?:in|z)?\b|\bsekretar\w*", "assistant"),
    (r"\bsecretar\w*", "assistant"),
    (r"\breceptionist\b|\bempfang\w*|\brecepcionista\b", "assistant"),
    (r"\bchief of staff\b|\bstabschef\w*", "director"),
    # "… to the CEO", "office of the CFO": close to the top, not the top.
    (rf"\b(?:to|reporting to|office of|buro des|buro der) (?:the |our )?{_TOP}\b", "specialist"),
    (r"\b(?:product|process|scrum|data|asset|system|service) owner\b", "specialist"),
    (r"\b(?:hr|people|finance|it|business|channel|sales) (?:business )?partner", "specialist"),
    (r"\bpartner (?:manager|marketing|success|development)\b|\bpartnerships?\b", "specialist"),
    (r"\b(?:account|sales|marketing|customer|support|advertising) executive\b", "specialist"),
    (r"\b(?:art|creative) director\b|\bfoundation\b|\bfounders?(?: s)? (?:associate|fellow)\b", "specialist"),
    (r"\b(?:co ?)?founder\b|\b(?:co ?)?owner\b|\binhaber(?:in)?\b|\b(?:mit)?grunder(?:in)?\b", "founder"),
    (r"\b(?:co ?)?fondat(?:eur|rice)\b|\b(?:co ?)?fundador\w*|\bfondatore\b", "founder"),
    (r"\bproprietario\b|\bgerant\w*", "founder"),
    (r"\b[esa]?vp\b|\bvice president\b|\bvizeprasident\w*|\bvice presidente?\b|\bvicepresidente?\b", "vp"),
    (rf"\b(?:{_CHIEF})\b|\bchief [a-z ]*officer\b|\bmanaging director\b", "c_level"),
    (r"\bexecutive director\b|\bpresident\w*", "c_level"),
    (r"\bmanaging partner\b|\bpartner\b|\bgeschaftsfuhr\w+|\bgeschaftsleit\w+|\bvorstand\w*", "c_level"),
    (r"\bpdg\b", "c_level"),
    (r"\bdirect(?:eur|rice|or|ora) general\w*|\bdirettore generale\b|\bgerente general\b", "c_level"),
    (r"\bamministratore delegato\b|\bconsejer[oa] delegad[oa]\b|\bboard member\b", "c_level"),
    (r"\bchair(?:man|woman|person)?\b", "c_level"),
    (r"\bprojekt(?:leiter|manager)\w*|\bchef(?:fe)? de projet\b|\bjefe de proyecto\b", "specialist"),
    (r"\b(?:team|gruppen|schicht)leit\w+|\bteam lead\w*|\bsupervisor\w*|\bteam leader\b", "manager"),
    (r"\bdirect(?:or|ora|eur|rice)\b|\bdirektor\w*|\bdirettor\w*|\bdiretor\w*|\bhead\b", "director"),
    (r"\bprokurist\w*", "director"),
    (r"\w*leiter(?:in)?\b|\bleitung\b|\bchief\b|\bbereichs\w+", "director"),
    (r"\b(?:account|community|product|project|case|office|content|event) manager", "specialist"),
    (r"\b(?:customer success|social media|key account) manager", "specialist"),
    (r"\bmanager(?:in)?\b|\bgerente\b|\bresponsab(?:le|ile)\b|\bchef(?:fe|fin)?\b", "manager"),
    (r"\bjef[ae]\b|\bgestor\w*", "manager"),
    (r"\bsenior\b|\bsr\b|\bprincipal\b|\bstaff\b|\barchitect\w*|\barchitekt\w*|\blead\b", "senior"),
    (r"\bexpert\w*", "senior"),
    (r"\bjunior\b|\bjr\b|\bgraduate\b|\bentry level\b", "junior"),
)  # fmt: skip
_DEPARTMENT: tuple[tuple[str, Department], ...] = (
    (r"\bprocurement\b|\bpurchas\w+|\bbuyer\b|\beinkauf\w*|\bachats?\b|\bacheteu\w+", "procurement"),
    (r"\bcompras\b|\bacquisti\b", "procurement"),
    (r"\bsourcing\b|\bbeschaffung\w*|\bvendor management\b|\bcpo procurement\b", "procurement"),
    (r"\bhr\b|\bhuman resources\b|\bpeople\b", "human_resources"),
    (r"\bpersonal(?:wesen|leit\w+|referent\w*)\b|\bressources humaines\b", "human_resources"),
    (r"\brecruit\w+|\btalent\b|\brrhh\b|\brh\b|\brecursos humanos\b|\bchro\b|\bdrh\b", "human_resources"),
    (r"\brisorse umane\b", "human_resources"),
    (r"marketing|\bcmo\b|\bbrand\b|\bseo\b|\bgrowth\b|\bdemand gen\w*|\bcontent\b", "marketing"),
    (r"\bcommunications?\b|\bmercadeo\b", "marketing"),
    (r"\bsales\b|\bvertrieb\w*|\bverkauf\w*|\bventes?\b|\bcommercial\w*|\bventas\b", "sales"),
    (r"\bvendite\b|\bvendas\b|\bcro\b", "sales"),
    (r"\baccount (?:executive|manager)\b|\bbusiness development\b|\brevenue\b|\b[sb]dr\b", "sales"),
    (r"\bfinan[czs]\w*|\bcfo\b|\baccount(?:ant|ing)\b|\bcontroll\w+|\btreasur\w+", "finance"),
    (r"\bbuchhalt\w*|\bcomptab\w*", "finance"),
    (r"\bcontab\w*|\bdaf\b|\btax\b|\baudit\w*", "finance"),
    (r"\blegal\b|\bcounsel\b|\blawyer\b|\brechts\w*|\bjurist\w*|\bjuridique\b|\bcompliance\b", "legal"),
    (r"\bavocat\w*", "legal"),
    (r"\bproduct\b|\bprodukt\w*|\bproduit\b|\bux\b|\bdesign\w*|\bcpo\b", "product"),
    (r"\bcio\b|\bciso\b|\bit\b|\binformation (?:technology|security)\b|\bsystem\w* admin\w*", "it"),
    (r"\bsysadmin\b|\bedv\b", "it"),
    (r"\binfrastructure\b|\bnetwork\b|\bcyber\w*|\bhelpdesk\b|\bsecurity\b|\bsistemas\b|\bdsi\b", "it"),
    (r"\bengineer\w*|\bdevelop\w*|\bcto\b|\bsoftware\w*|\bdevops\b|\bdata\b", "engineering"),
    (r"\bprogram+er\w*|\bentwickl\w*", "engineering"),
    (r"\bingenieur\w*|\bdeveloppeu\w*|\btechni\w*|\br d\b|\bresearch\w*|\barchitect\w*", "engineering"),
    (r"\bdesarroll\w*", "engineering"),
    (r"\bsupport\b|\bcustomer (?:service|success|care|experience)\b", "customer_service"),
    (r"\bkundendienst\w*|\bservice client\b", "customer_service"),
    (r"\boperation\w*|\bcoo\b|\blogisti\w*|\bsupply chain\b|\bproduction\b", "operations"),
    (r"\bproduktion\w*|\bplant\b|\bquality\b", "operations"),
    (r"\bprofessor\w*|\bteacher\b|\blehrer\w*|\blecturer\b|\bdocente?\b|\buniversit\w*", "education"),
    (rf"\b(?:{_CHIEF})\b|\bowner\b|\bfounder\b|\bpresident\w*|\bgeschafts\w+|\bvorstand\w*", "executive"),
    (r"\bmanaging\b", "executive"),
    (r"\bpdg\b|\bdirect(?:eur|rice|or|ora) general\w*|\bgerente general\b|\binhaber\w*", "executive"),
    (r"\bgrunder\w*", "executive"),
)  # fmt: skip


def _compiled(table: tuple[tuple[str, str], ...]) -> tuple[tuple[re.Pattern[str], str], ...]:
    return tuple((re.compile(pattern), value) for pattern, value in table)


_SENIORITY_PATTERNS = _compiled(_SENIORITY)
_DEPARTMENT_PATTERNS = _compiled(_DEPARTMENT)
_LONGEST = 200  # characters; nobody's title needs more


def title_key(title: str) -> str:
    """Return a title as patterns see it: casefolded, no accents, punctuation as single spaces."""
    plain = unicodedata.normalize("NFKD", title[:_LONGEST].replace("ß", "ss"))
    letters = "".join(char for char in plain if not unicodedata.combining(char))
    return " ".join(re.sub(r"[^0-9a-z]+", " ", letters.casefold()).split())


@lru_cache(maxsize=8192)
def read_title(title: str) -> tuple[str | None, str | None]:
    """Return (seniority, department) of a job title; None where it does not tell."""
    key = title_key(title)
    if not key:
        return None, None
    seniority = next((value for pattern, value in _SENIORITY_PATTERNS if pattern.search(key)), "specialist")
    department = next((value for pattern, value in _DEPARTMENT_PATTERNS if pattern.search(key)), None)
    return seniority, department
