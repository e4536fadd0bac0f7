"""Extract data from address book pages."""

from bs4 import BeautifulSoup


def find_addresses(page: str) -> list[str]:
    return [link.text for link in BeautifulSoup(page, "html.parser").select(".client-email a")]


def find_errors(page: str) -> dict[str, str]:
    """Return the page's error messages by field."""
    found = BeautifulSoup(page, "html.parser").select(".field-errors")
    return {str(box.get("id", "")).removesuffix("-error"): box.get_text(strip=True) for box in found}


def find_undo_url(page: str) -> str:
    """Return the URL of the undo button on a page."""
    (form,) = BeautifulSoup(page, "html.parser").select(".flash form")
    return str(form["action"])
