import hmac
from django.http import JsonResponse
from django.views.decorators.csrf import csrf_exempt, csrf_protect

@csrf_exempt
def webhook(request):
    if not hmac.compare_digest(request.headers["X-Hub-Signature"], "x"):
        return JsonResponse({}, status=403)
    return JsonResponse({})

@csrf_protect
def transfer(request):
    return JsonResponse({})
