"""What is cached of the blog, and how it is forgotten."""


def forget_articles() -> None:
    """Let every process read articles anew; call after each commit that changed one."""
