"""The delivery engine; independent of requests and blueprints."""
