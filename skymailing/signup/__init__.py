"""Sign-up forms: public pages through which people subscribe, and confirm it by email."""
