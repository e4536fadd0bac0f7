"""Lay out the page of a letter that was written in Markdown."""

from skymailing.delivery.rendering.css_inlining import inline_styles

PAGE = """\
<!DOCTYPE html>
<html lang="{language}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<style>@media (prefers-color-scheme: dark) {{ .letter a {{ color: #7db4ff !important; }} }}</style>
</head>
<body>
<div class="letter">
{body}</div>
</body>
</html>
"""
# The styles of formatted text.
TEXT_RULES = """\
.letter h1 { font-size: 26px; line-height: 1.25; }
.letter h2 { font-size: 21px; line-height: 1.3; }
.letter img { max-width: 100%; height: auto; }
.letter blockquote { margin: 16px 0; padding: 0 0 0 16px; border-left: 3px solid #c8cdd3; }
.letter pre { padding: 12px; overflow-x: auto; background: #8881; }
.letter table { border-collapse: collapse; }
.letter th, .letter td { padding: 6px 10px; border: 1px solid #c8cdd3; text-align: left; }
.letter hr { border: 0; border-top: 1px solid #c8cdd3; }
"""
# The styles of a Markdown letter, written into its style attributes.
RULES = f"""\
body {{ margin: 0; padding: 24px 16px; }}
.letter {{ max-width: 600px; margin: 0 auto; }}
.letter {{ font: 16px/1.55 -apple-system, "Segoe UI", Roboto, Arial, sans-serif; }}
.letter a {{ color: #0b63ce; }}
{TEXT_RULES}"""


def lay_out(converted: str, language: str) -> str:
    return inline_styles(PAGE.format(language=language, body=converted), RULES)
