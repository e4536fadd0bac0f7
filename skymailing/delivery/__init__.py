"""The delivery engine; knows no request and no blueprint."""
