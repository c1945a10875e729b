from django.utils.decorators import method_decorator
from django.views import View
from django.views.decorators.csrf import csrf_exempt

@method_decorator(csrf_exempt, name="dispatch")  # expect: csrf
class Profile(View):
    def post(self, request):
        request.user.rename(request.POST["name"])
