from django.http import JsonResponse
from django.views.decorators.csrf import csrf_exempt

@csrf_exempt  # expect: csrf
def transfer(request):
    request.user.account.send(request.POST["to"], int(request.POST["amount"]))
    return JsonResponse({})
