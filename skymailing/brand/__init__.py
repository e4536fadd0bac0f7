"""Brand: an owner's name, colour and logo on sign-up forms and other public pages."""
