"""Clean the names of uploaded files, and refuse types that mail providers refuse."""

import io
import mimetypes
import unicodedata
import zipfile
from struct import error as StructError  # noqa: N812 - an exception with the name of a function

from skymailing.errors import UserError

MAX_NAME = 200  # characters
MAX_EXTENSION = 20
MAX_ENTRIES = 1_000  # files in a ZIP archive
ENTRY = b"PK\x01\x02"  # the signature of each entry in a ZIP archive's list of files
# Types that Gmail refuses, even in archives (https://support.google.com/mail/answer/6590), and executable
# types that Outlook blocks.
DANGEROUS = frozenset(
    "ade adp apk app appinstaller application appx appxbundle bas bat cab chm cmd com cpl crt csh "
    "der diagcab diagcfg diagpkg dll dmg ex ex_ exe fxp gadget grp hlp hpj hta img inf ins iso isp "
    "its jar jnlp js jse ksh lib lnk mad maf mag mam maq mar mas mat mau mav maw mda mdb mde mdt mdw "
    "mdz mht mhtml mjs msc msh msh1 msh1xml msh2 msh2xml mshxml msi msix msixbundle msp mst msu nsh "
    "ops osd pcd pif pl plg prf prg ps1 ps1xml ps2 ps2xml psc1 psc2 psd1 psdm1 psm1 pst py pyc pyo "
    "pyw pyz reg scf scr sct settingcontent-ms sh shb shs sys theme tmp url vb vbe vbp vbs vhd vhdx "
    "vsmacros vsw vxd webpnp website wsb wsc wsf wsh xbap xll xnk ".split()
)
# Extensions of compressed files, which follow the file's own extension.
PACKED = frozenset(("gz", "bz2", "xz", "z", "zst", "lzma"))
UNKNOWN_TYPE = "application/octet-stream"
# Types that a browser or a mail program might run when it opens the file.
ACTIVE_TYPES = ("html", "xml", "svg", "javascript", "ecmascript", "script", "shockwave", "message/")
# Without the types of the operating system, which differ between hosts.
TYPES = mimetypes.MimeTypes()
MORE_TYPES = {
    "7z": "application/x-7z-compressed",
    "docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "epub": "application/epub+zip",
    "heic": "image/heic",
    "ics": "text/calendar",
    "odp": "application/vnd.oasis.opendocument.presentation",
    "ods": "application/vnd.oasis.opendocument.spreadsheet",
    "odt": "application/vnd.oasis.opendocument.text",
    "pptx": "application/vnd.openxmlformats-officedocument.presentationml.presentation",
    "rar": "application/vnd.rar",
    "vcf": "text/vcard",
    "webp": "image/webp",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}


class FileRefused(UserError):
    """A file cannot be attached."""


def clean_name(given: str) -> str:
    """Return a file name without path, control characters or invisible marks, cut to MAX_NAME."""
    name = given.replace("\\", "/").rstrip("/").rpartition("/")[2]
    visible = (character for character in name if unicodedata.category(character) not in _INVISIBLE)
    name = " ".join(unicodedata.normalize("NFC", "".join(visible)).split()).strip(". ")
    name = name.translate(_NOT_ON_WINDOWS)
    if len(name) > MAX_NAME:
        stem, dot, extension = name.rpartition(".")
        if not dot or len(extension) > MAX_EXTENSION:
            return name[:MAX_NAME].rstrip(". ")
        name = stem[: MAX_NAME - len(extension) - 1].rstrip(". ") + dot + extension
    return name


# Characters that Windows does not allow in names: it would save "a.exe::$DATA" as "a.exe".
_NOT_ON_WINDOWS = str.maketrans(dict.fromkeys('<>:"|?*', "_"))
# Control characters, marks such as "right to left", surrogates, private and unassigned characters, and line
# and paragraph separators.
_INVISIBLE = frozenset(("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"))


def find_extension(name: str) -> str:
    """Return the extension in lowercase; empty if there is none."""
    _stem, dot, extension = name.rpartition(".")
    return extension.strip().lower() if dot else ""


def choose_type(name: str) -> str:
    """Return the media type for a file name; it never causes a program to run the file."""
    extension = find_extension(name)
    found = MORE_TYPES.get(extension) or TYPES.guess_type(f"x.{extension}", strict=True)[0]
    if not found or any(kind in found for kind in ACTIVE_TYPES):
        return UNKNOWN_TYPE
    return found


def check_type(name: str, content: bytes) -> None:
    """Raise FileRefused if mail providers would refuse the file or, in a ZIP archive, one of its files."""
    if dangerous := find_dangerous(name):
        raise FileRefused("file_type_refused", name=name, extension=f".{dangerous}")
    if find_extension(name) == "zip" or content.startswith(b"PK"):
        check_archive(name, content)


def check_archive(name: str, content: bytes) -> None:
    """Check the names in a ZIP archive without unpacking it; documents such as DOCX are archives, too."""
    if content.count(ENTRY) > MAX_ENTRIES:  # reading the names would take too long
        raise FileRefused("file_archive_too_many", name=name, limit=MAX_ENTRIES)
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            names = archive.namelist()
    except (
        zipfile.BadZipFile,
        RuntimeError,  # such as an archive that needs a newer version of ZIP than zipfile knows
        ValueError,
        OSError,
        OverflowError,
        StructError,
    ) as error:
        if find_extension(name) != "zip":
            return  # not an archive
        raise FileRefused("file_archive_unreadable", name=name) from error
    for inner in names:
        if dangerous := find_dangerous(inner):
            raise FileRefused("file_archive_refused", name=name, extension=f".{dangerous}")


def find_dangerous(name: str) -> str:
    """Return the extension for which a file is refused; empty if it is accepted."""
    extension = find_extension(clean_name(name))
    if extension in PACKED:
        extension = find_extension(clean_name(name)[: -len(extension) - 1])
    return extension if extension in DANGEROUS else ""
