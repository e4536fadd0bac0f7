"""Access the mailbox for returned mail over IMAP or POP3."""
