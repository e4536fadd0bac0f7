"""Read the tables of a run's results by group."""

from bs4 import BeautifulSoup

from skymailing.models import Run


def path_of(run: Run, page: str = "") -> str:
    return f"/mailings/runs/{run.id}/breakdown{page}"


def read_table(page: BeautifulSoup, by: str) -> dict[str, dict[str, str]]:
    """Return the cells of a table, by the name of the row and the title of the column."""
    titles = [cell.get_text(strip=True) for cell in page.select(f"#by-{by} thead th")][1:]
    return {
        row.select_one("th").get_text(strip=True): dict(  # type: ignore[union-attr]
            zip(titles, (cell.get_text(" ", strip=True) for cell in row.select("td")), strict=True)
        )
        for row in page.select(f"#by-{by} tbody tr")
    }
