"""Django, in one file: gunicorn django_app:application

Vapi posts to your application; you look at the report, and submit it.
"""

from functools import cache

import django
from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import path
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from roark_producer import LedgerUnavailable, Producer


@cache
def the_producer() -> Producer:
    # One for the process. Threads share it, and so may processes that are forked after it was made.
    return Producer.from_env()


@csrf_exempt
@require_POST
def call_ended(request: HttpRequest, tenant: str) -> HttpResponse:
    # Check here who is calling. The bytes as they came: Roark gets every number and text as Vapi wrote it.
    try:
        receipt = the_producer().submit(request.body, {"tenant": tenant})
    except LedgerUnavailable:
        # Vapi sends it again, if you gave its server a backoffPlan.
        return JsonResponse({"detail": "try again"}, status=503, headers={"Retry-After": "5"})
    return JsonResponse({"call_id": receipt.call_id, "result": receipt.result})


urlpatterns = [path("calls/<slug:tenant>", call_ended)]

# Yours stand in a project's settings.py, and DATA_UPLOAD_MAX_MEMORY_SIZE with them: Django refuses bodies of more than
# 2.5 MB otherwise, and reports of long calls are larger.
settings.configure(
    ALLOWED_HOSTS=["*"], ROOT_URLCONF=__name__, SECRET_KEY="change me", DATA_UPLOAD_MAX_MEMORY_SIZE=25_000_000
)
django.setup()
application = get_wsgi_application()
