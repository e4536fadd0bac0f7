"""Sign-up forms: public pages through which people subscribe; they confirm by email."""
