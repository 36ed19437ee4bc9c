"""The Celery worker that delivers reports to Roark."""
