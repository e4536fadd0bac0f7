"""The public blog, its feed and the sitemap."""
